//! The grants table: requests for access, and the approvals that they became.
//!
//! Invariants: the table changes by conditional writes only, so each race has one outcome. What is
//! read is compared with the caller and the profile before it counts. An answer that does not come,
//! or that cannot be read, is a failure, never "no approval" and never an approval.

mod item;
mod table;

use crate::access::{AccessId, AccessRequest, Approval, Change, Emergency, place_of};
use crate::caller::{Caller, Principal};
use crate::request::ProfileName;
use table::Table;
use time::UtcDateTime;

/// The settings of the grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantsSettings {
    /// No requests, no approvals.
    Off,
    /// In the DynamoDB table of this name.
    Dynamodb(String),
}

/// Why the table gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantsUnavailable {
    /// DynamoDB refused with this code: check the table's name, its index and the permissions.
    #[error("the grants table refused with {0}")]
    Refused(String),
    /// DynamoDB did not answer, failed or throttled.
    #[error("the grants table is out of reach: {0}")]
    OutOfReach(String),
}

/// Why a request for access is not made or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// There is no such request, or none that this caller may know of.
    #[error("no such request for access")]
    Unknown,
    /// It does not permit this change any more, or has expired.
    #[error("the request for access is not open any more")]
    Closed,
    /// A request for this profile is pending or approved.
    #[error("a request for this profile is pending or approved")]
    Exists,
    /// The policy grants the profile without an approval.
    #[error("no approval is needed")]
    NotNeeded,
    /// The principal took an emergency less than a day ago.
    #[error("the principal took an emergency less than a day ago")]
    EmergencyUsed,
    /// The caller is not identified as a person.
    #[error("the caller is not identified as a person")]
    NotAPerson,
    /// The caller made the request, or could have.
    #[error("the caller could be the requester")]
    OwnRequest,
    /// The table gave no answer.
    #[error(transparent)]
    Unavailable(#[from] GrantsUnavailable),
}

/// The result of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The condition held.
    Done,
    /// The condition failed; nothing changed.
    ConditionFailed,
}

/// The grants.
#[derive(Debug)]
pub enum Grants {
    /// There is no table.
    Off,
    /// In this table.
    Table(GrantsTable),
}

/// The table of requests for access.
#[derive(Debug)]
pub struct GrantsTable(Table);

impl Grants {
    /// The grants that `settings` ask for, in the region, at the endpoint and with the credentials of
    /// `aws`.
    #[must_use]
    pub fn new(settings: &GrantsSettings, aws: &aws_config::SdkConfig) -> Self {
        match settings {
            GrantsSettings::Off => Self::Off,
            GrantsSettings::Dynamodb(name) => Self::Table(GrantsTable(Table::new(aws, name))),
        }
    }

    /// Opens a connection to the table, with a read of an item that does not exist. A failure is only
    /// logged.
    pub(crate) async fn warm(&self) {
        if let Self::Table(GrantsTable(table)) = self
            && let Err(error) = table.get("warm").await
        {
            tracing::error!(%error, "the grants table cannot be used: check its name and dynamodb:GetItem");
        }
    }
}

impl GrantsTable {
    /// The request with this id.
    ///
    /// # Errors
    /// [`AccessError::Unknown`] if the table has none.
    pub async fn find(&self, id: AccessId) -> Result<AccessRequest, AccessError> {
        let found = self.0.get(&id.place()).await?;
        found.filter(|request| request.id == id).ok_or(AccessError::Unknown)
    }

    /// The approval in force for `caller` and `profile`: one read.
    ///
    /// # Errors
    /// The table gave no answer.
    pub async fn approval(
        &self,
        caller: &Caller,
        profile: &ProfileName,
        now: UtcDateTime,
    ) -> Result<Option<Approval>, GrantsUnavailable> {
        let found = self.0.get(&place_of(caller.principal().as_str(), profile)).await?;
        Ok(found.and_then(|request| request.approval(caller, profile, now)))
    }

    /// The last emergency of `principal`: one read.
    ///
    /// # Errors
    /// The table gave no answer.
    pub async fn emergency(
        &self,
        principal: &Principal,
    ) -> Result<Option<Emergency>, GrantsUnavailable> {
        self.0.emergency(principal.as_str()).await
    }

    /// Records an emergency, unless the principal took one within the day before.
    ///
    /// # Errors
    /// [`AccessError::EmergencyUsed`] if it did.
    pub async fn take(&self, emergency: &Emergency) -> Result<(), AccessError> {
        match self.0.take(emergency).await? {
            Written::Done => Ok(()),
            Written::ConditionFailed => Err(AccessError::EmergencyUsed),
        }
    }

    /// Makes a request, unless one of the same principal for the same profile is in force.
    ///
    /// # Errors
    /// [`AccessError::Exists`] if one is.
    pub async fn create(
        &self,
        request: &AccessRequest,
        now: UtcDateTime,
    ) -> Result<(), AccessError> {
        match self.0.create(request, now).await? {
            Written::Done => Ok(()),
            Written::ConditionFailed => Err(AccessError::Exists),
        }
    }

    /// Changes `request`, which has been read, if it still is as it was. Returns the new state.
    ///
    /// # Errors
    /// [`AccessError::Closed`] if it does not permit the change any more, or has expired.
    pub async fn change(
        &self,
        request: AccessRequest,
        change: Change,
        by: &Principal,
        now: UtcDateTime,
    ) -> Result<AccessRequest, AccessError> {
        let changed = request.change(change, by.as_str(), now).map_err(|_| AccessError::Closed)?;
        match self.0.decide(&changed, change, now).await? {
            Written::Done => Ok(changed),
            Written::ConditionFailed => Err(AccessError::Closed),
        }
    }

    /// The newest requests of everybody, newest first: as many as fit a page of the index, 1 MB, without
    /// those that cannot be read. The index may be behind the table by a moment.
    ///
    /// # Errors
    /// The table gave no answer.
    pub async fn newest(&self) -> Result<Vec<AccessRequest>, GrantsUnavailable> {
        self.0.newest().await
    }
}
