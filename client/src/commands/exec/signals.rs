//! Signals for the command.
//!
//! Ctrl-C and Ctrl-\ reach the command from the terminal, as it is in the same process group; here they are only survived.
//! Without a terminal they are passed on, as all others are.

use std::convert::Infallible;

#[cfg(unix)]
pub(super) use unix::Signals;
#[cfg(not(unix))]
pub(super) use windows::Signals;

#[cfg(unix)]
mod unix {
    use super::Infallible;
    use rustix::process::{Pid, Signal, getpgrp, kill_process};
    use rustix::termios::tcgetpgrp;
    use tokio::signal::unix::{SignalKind, signal};

    /// The signals that are passed on, and whether a terminal sends them to the command itself.
    const PASSED_ON: [(Signal, bool); 6] = [
        (Signal::HUP, false),
        (Signal::INT, true),
        (Signal::QUIT, true),
        (Signal::TERM, false),
        (Signal::USR1, false),
        (Signal::USR2, false),
    ];

    /// Signals that no longer end this process.
    #[derive(Debug)]
    pub(in crate::commands::exec) struct Signals(Vec<(tokio::signal::unix::Signal, Signal, bool)>);

    impl Signals {
        pub(in crate::commands::exec) fn listen() -> Self {
            let listen = |(number, by_terminal): (Signal, bool)| {
                let signals = signal(SignalKind::from_raw(number.as_raw())).ok()?;
                Some((signals, number, by_terminal))
            };
            Self(PASSED_ON.into_iter().filter_map(listen).collect())
        }

        /// Passes on whatever arrives.
        pub(in crate::commands::exec) async fn pass_on_to(
            self,
            process: Option<u32>,
        ) -> Infallible {
            let process = process.and_then(|it| Pid::from_raw(i32::try_from(it).ok()?));
            for (mut signals, number, by_terminal) in self.0 {
                tokio::spawn(async move {
                    while signals.recv().await.is_some() {
                        if by_terminal && is_in_foreground() {
                            continue;
                        }
                        // The command may have ended: then the signal has no receiver.
                        let _ = process.map(|process| kill_process(process, number));
                    }
                });
            }
            std::future::pending().await
        }
    }

    /// Whether the terminal sends Ctrl-C to this process group.
    fn is_in_foreground() -> bool {
        let group = getpgrp();
        tcgetpgrp(std::io::stdin()).is_ok_and(|it| it == group)
            || tcgetpgrp(std::io::stderr()).is_ok_and(|it| it == group)
    }
}

#[cfg(not(unix))]
mod windows {
    use super::Infallible;

    /// The console sends Ctrl-C to the command itself.
    #[derive(Debug)]
    pub(in crate::commands::exec) struct Signals;

    impl Signals {
        pub(in crate::commands::exec) fn listen() -> Self {
            Self
        }

        /// Survives Ctrl-C, so that the command can end in its own way.
        pub(in crate::commands::exec) async fn pass_on_to(self, _: Option<u32>) -> Infallible {
            loop {
                if tokio::signal::ctrl_c().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}
