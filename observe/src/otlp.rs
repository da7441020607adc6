//! OTLP (OpenTelemetry protocol 1.x): the messages of traces and logs, as protobuf and as JSON, and what is answered.
//!
//! Only what is read here is declared. Fields that are not are skipped, as protobuf has it.

pub mod answer;
pub mod body;
pub mod json;
pub mod message;

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records, events among them.
    Logs,
    /// Metrics, which say nothing that a record has.
    Metrics,
}

/// How a request is written, which its answer is too (OTLP 1.x, "OTLP/HTTP Response").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

impl Signal {
    /// Its path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Logs => "/v1/logs",
            Self::Metrics => "/v1/metrics",
        }
    }
}

impl Encoding {
    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    /// The encoding of a media type, whatever its parameters.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        [Self::Protobuf, Self::Json]
            .into_iter()
            .find(|it| it.media_type().eq_ignore_ascii_case(media_type))
    }
}
