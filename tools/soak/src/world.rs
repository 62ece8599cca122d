//! The services that the function calls, on loopback. DynamoDB is an embedded emulator, so that it really evaluates
//! conditional writes; the others are small stubs. Each stands behind a front that can fail on purpose.

mod front;
mod mdm;
mod parameters;
mod secrets;
mod sts;
mod table;

pub(crate) use mdm::{person, serial};
pub(crate) use parameters::{PATH, Version};

pub(crate) use secrets::{CANARY, Secrets};
pub(crate) use sts::{secret_key, session_token};
pub(crate) use table::{TABLE, Tats};

use crate::Result;
use crate::lock;
use fastrand::Rng;
use mdm::Mdm;
use parameters::Parameters;

use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use sts::Sts;
use table::Table;

/// A service that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Service {
    #[serde(rename = "DynamoDB")]
    Dynamodb,
    #[serde(rename = "STS")]
    Sts,
    #[serde(rename = "device management")]
    Mdm,
    #[serde(rename = "Secrets Manager")]
    Secrets,
    #[serde(rename = "Parameter Store")]
    Parameters,
}

impl Service {
    pub(crate) const ALL: [Self; 5] =
        [Self::Dynamodb, Self::Sts, Self::Mdm, Self::Secrets, Self::Parameters];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dynamodb => "DynamoDB",
            Self::Sts => "STS",
            Self::Mdm => "device management",
            Self::Secrets => "Secrets Manager",
            Self::Parameters => "Parameter Store",
        }
    }
}

/// What a front does to a call that it picks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The service works, and answers late: between nothing and this.
    Late(Duration),
    /// The service does not answer, and keeps the connection.
    Silence,
    /// 500.
    Failure,
    /// The connection is reset before the service sees the request.
    Reset,
    /// The service works, and the connection is reset instead of an answer.
    LostAnswer,
    /// 429, or the AWS code for it.
    Throttled,
    /// The service refuses: 403.
    Refused,
}

impl Fault {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Late(_) => "late answer",
            Self::Silence => "no answer",
            Self::Failure => "5xx",
            Self::Reset => "connection reset",
            Self::LostAnswer => "lost answer",
            Self::Throttled => "throttling",
            Self::Refused => "refusal",
        }
    }
}

/// The fault of a service, and the share of calls that it hits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Active {
    pub(crate) fault: Fault,
    pub(crate) share: f64,
}

/// What has been injected: how often, by service and kind.
pub(crate) type Injected = BTreeMap<(Service, &'static str), u64>;

/// All services.
pub(crate) struct World {
    active: Mutex<BTreeMap<Service, Active>>,
    injected: Mutex<Injected>,
    calls: Mutex<BTreeMap<Service, u64>>,
    rng: Mutex<Rng>,
    pub(crate) table: Table,
    pub(crate) sts: Sts,
    pub(crate) secrets: Secrets,
    pub(crate) parameters: Parameters,
    pub(crate) mdm: Mdm,
}

impl World {
    /// Starts them all; returns their addresses, too.
    pub(crate) async fn start(seed: u64) -> Result<(Arc<Self>, BTreeMap<Service, SocketAddr>)> {
        let world = Arc::new(Self {
            active: Mutex::default(),
            injected: Mutex::default(),
            calls: Mutex::default(),
            rng: Rng::with_seed(seed).into(),
            table: Table::start().await?,
            sts: Sts::default(),
            secrets: Secrets::new(),
            parameters: Parameters::new(),
            mdm: Mdm::default(),
        });
        let mut addresses = BTreeMap::new();
        for service in Service::ALL {
            addresses.insert(service, front::start(service, Arc::clone(&world)).await?);
        }
        Ok((world, addresses))
    }

    /// From now on, or no longer, a share of the service's calls has this fault.
    pub(crate) fn set(&self, service: Service, active: Option<Active>) {
        let mut faults = lock(&self.active);
        match active {
            Some(active) => faults.insert(service, active),
            None => faults.remove(&service),
        };
    }

    /// The fault of the next call, which is counted.
    fn pick(&self, service: Service) -> Option<Fault> {
        *lock(&self.calls).entry(service).or_default() += 1;
        let Active { fault, share } = *lock(&self.active).get(&service)?;
        let mut rng = lock(&self.rng);
        if rng.f64() >= share {
            return None;
        }
        *lock(&self.injected).entry((service, fault.name())).or_default() += 1;
        Some(match fault {
            Fault::Late(most) => Fault::Late(most.mul_f64(rng.f64())),
            fault => fault,
        })
    }

    pub(crate) fn injected(&self) -> Injected {
        lock(&self.injected).clone()
    }

    pub(crate) fn calls(&self) -> BTreeMap<Service, u64> {
        lock(&self.calls).clone()
    }
}
