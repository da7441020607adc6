//! The lines of the journal.

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::envelope::Envelope;
use ledger::json::{Members, Value, integer, object, parsed, string};
use ledger::record::{Mode, SignedRecord};
use tlog::checkpoint::SignedCheckpoint;

/// What the journal says, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A record was signed, and may have been sent.
    Signed(Box<SignedRecord>),
    /// A record is in the log: its proof was verified.
    Logged {
        /// The record.
        record: RecordHash,
        /// Its index.
        index: u64,
        /// When the log received it: milliseconds since the epoch.
        received_ms: u64,
    },
    /// A record was judged, or follows one that was, and will not be in the log.
    Refused {
        /// The record.
        record: RecordHash,
        /// The rule that it breaks.
        refusal: Refusal,
    },
    /// A checkpoint was verified, and is consistent with the one seen before.
    Seen(Box<SignedCheckpoint>),
    /// A charter was verified, and is in force.
    Charter {
        /// The charter.
        record: RecordHash,
        /// Whether its rules bind.
        mode: Mode,
    },
}

impl Line {
    /// Reads a line, without its end.
    ///
    /// # Errors
    ///
    /// The codes of form.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::open("", Value::parse(bytes)?)?;
        let line = if let Some(envelope) = members.take_if_present("signed") {
            let record = SignedRecord::from_envelope(Envelope::from_value(envelope)?)?;
            Self::Signed(Box::new(record))
        } else if let Some(logged) = members.take_if_present("logged") {
            Self::read_logged(Members::open("logged", logged)?)?
        } else if let Some(refused) = members.take_if_present("refused") {
            Self::read_refused(Members::open("refused", refused)?)?
        } else if let Some(charter) = members.take_if_present("charter") {
            Self::read_charter(Members::open("charter", charter)?)?
        } else {
            let checkpoint = members.required("seen", string)?;
            let checkpoint = SignedCheckpoint::parse(&checkpoint);
            let unreadable = |error| Code::Malformed.because(format!("seen: {error}"));
            Self::Seen(Box::new(checkpoint.map_err(unreadable)?))
        };
        members.finish().map(|()| line)
    }

    fn read_logged(mut members: Members) -> Result<Self, Refusal> {
        let line = Self::Logged {
            record: members.required("record", parsed)?,
            index: members.required("index", integer)?,
            received_ms: members.required("received_ms", integer)?,
        };
        members.finish().map(|()| line)
    }

    fn read_refused(mut members: Members) -> Result<Self, Refusal> {
        let record = members.required("record", parsed)?;
        let code = members.required("code", parsed)?;
        let detail = members.required("detail", string)?;
        let refusal = Refusal { code, detail };
        members.finish().map(|()| Self::Refused { record, refusal })
    }

    fn read_charter(mut members: Members) -> Result<Self, Refusal> {
        let line = Self::Charter {
            record: members.required("record", parsed)?,
            mode: members.required("mode", parsed)?,
        };
        members.finish().map(|()| line)
    }

    /// The line, without its end.
    pub fn to_json(&self) -> String {
        let (name, value) = match self {
            Self::Signed(record) => ("signed", record.envelope().to_value()),
            Self::Logged {
                record,
                index,
                received_ms,
            } => {
                let logged = object([
                    ("record", (*record).into()),
                    ("index", (*index).into()),
                    ("received_ms", (*received_ms).into()),
                ]);
                ("logged", logged)
            }
            Self::Refused { record, refusal } => {
                let refused = object([
                    ("record", (*record).into()),
                    ("code", refusal.code.as_str().into()),
                    ("detail", refusal.detail.as_str().into()),
                ]);
                ("refused", refused)
            }
            Self::Seen(checkpoint) => ("seen", checkpoint.to_string().into()),
            Self::Charter { record, mode } => {
                let charter =
                    object([("record", (*record).into()), ("mode", mode.as_str().into())]);
                ("charter", charter)
            }
        };
        object([(name, value)]).to_json()
    }
}
