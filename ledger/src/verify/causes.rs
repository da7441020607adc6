//! Errors of the log, with what they came from.

use std::fmt::Display;

use tlog::ProofError;
use tlog::base64::NotCanonical;
use tlog::checkpoint::{CheckpointError, ParseCheckpointError};
use tlog::hash::ParseHashError;
use tlog::note::{ParseNoteError, VerifyNoteError};
use tlog::proof::ParseProofFileError;

/// An error that may have come from another.
///
/// `std::error::Error` says so too. But where its sources are followed, each error brings what prints it for
/// programmers, and the verifier is sent to browsers.
pub(super) trait Caused: Display {
    /// What it came from.
    fn cause(&self) -> Option<&dyn Caused> {
        None
    }
}

/// An error and what it came from, in one line.
pub(super) fn with_causes(error: &dyn Caused) -> String {
    match error.cause() {
        None => error.to_string(),
        Some(cause) => format!("{error}: {}", with_causes(cause)),
    }
}

impl Caused for NotCanonical {}
impl Caused for ParseNoteError {}
impl Caused for ProofError {}
impl Caused for VerifyNoteError {}

impl Caused for CheckpointError {
    fn cause(&self) -> Option<&dyn Caused> {
        match self {
            Self::BadLogSignature(cause) | Self::BadCosignature(cause) => Some(cause),
            Self::UnknownOrigin { .. }
            | Self::NotSignedByLog { .. }
            | Self::QuorumNotMet { .. } => None,
        }
    }
}

impl Caused for ParseHashError {
    fn cause(&self) -> Option<&dyn Caused> {
        match self {
            Self::Base64(cause) => Some(cause),
            Self::WrongLength { .. } => None,
        }
    }
}

impl Caused for ParseCheckpointError {
    fn cause(&self) -> Option<&dyn Caused> {
        match self {
            Self::Note(cause) => Some(cause),
            Self::Lines | Self::Origin | Self::Size | Self::Root | Self::Extension => None,
        }
    }
}

impl Caused for ParseProofFileError {
    fn cause(&self) -> Option<&dyn Caused> {
        match self {
            Self::Extra(cause) => Some(cause),
            Self::Hash { source, .. } => Some(source),
            Self::Checkpoint(cause) => Some(cause),
            Self::TooLong { .. } | Self::Header | Self::Index | Self::NoCheckpoint => None,
        }
    }
}
