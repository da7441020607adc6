//! What is answered, in the form of the request (OTLP 1.x, "OTLP/HTTP Response"): `Export…ServiceResponse`, with a
//! `partialSuccess` where something was not taken, or a `google.rpc.Status`.

use prost::Message as _;
use serde_json::json;

use super::{Encoding, Signal};

/// `ExportTraceServiceResponse` and its sisters: the numbers of their fields are the same.
#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// The answer to a request that was taken, but for so many that could not be read.
#[must_use]
pub fn taken(signal: Signal, encoding: Encoding, rejected: u64, why: &str) -> Vec<u8> {
    let rejected = i64::try_from(rejected).unwrap_or(i64::MAX);
    let partial = (rejected > 0).then(|| PartialSuccess {
        rejected,
        error_message: why.to_owned(),
    });
    let member = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Logs => "rejectedLogRecords",
        Signal::Metrics => "rejectedDataPoints",
    };
    match (encoding, partial) {
        (Encoding::Protobuf, partial_success) => Response { partial_success }.encode_to_vec(),
        (Encoding::Json, None) => b"{}".to_vec(),
        // 64-bit integers are texts in protobuf's JSON.
        (Encoding::Json, Some(_)) => {
            let partial = json!({ member: rejected.to_string(), "errorMessage": why });
            json!({ "partialSuccess": partial })
                .to_string()
                .into_bytes()
        }
    }
}

/// The answer to a request that was not taken. The code is that of `google.rpc.Code`.
#[must_use]
pub fn refused(encoding: Encoding, code: i32, message: &str) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => Status {
            code,
            message: message.to_owned(),
        }
        .encode_to_vec(),
        Encoding::Json => json!({ "code": code, "message": message })
            .to_string()
            .into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_form_of_its_request() {
        assert_eq!(taken(Signal::Traces, Encoding::Protobuf, 0, ""), b"");
        assert_eq!(taken(Signal::Logs, Encoding::Json, 0, ""), b"{}");
        let partial = taken(Signal::Traces, Encoding::Protobuf, 3, "no");
        assert_eq!(partial, b"\x0a\x06\x08\x03\x12\x02no");
        let partial = taken(Signal::Logs, Encoding::Json, 3, "no");
        let expected = r#"{"partialSuccess":{"errorMessage":"no","rejectedLogRecords":"3"}}"#;
        assert_eq!(String::from_utf8(partial).unwrap(), expected);
        assert_eq!(refused(Encoding::Protobuf, 14, "x"), b"\x08\x0e\x12\x01x");
    }
}
