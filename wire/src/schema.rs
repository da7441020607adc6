//! Schemas of texts and numbers in the interface, and of envelopes: what the service reads strictly, said as strictly
//! as a schema can.
//!
//! These types hold nothing. They stand for text in the description of the interface, where a value on the wire is a
//! string and its type in Rust is the ledger's.

use ledger::envelope::{MAX_PAYLOAD_BYTES, MAX_SIGNATURES};
use ledger::record::{AgentState, Kind as RecordKind};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::{DEFAULT_PAGE, MAX_PAGE};

/// Base64 in its one spelling (RFC 4648 §4): padded, and no bit set that nothing is made of.
const BASE64: &str =
    "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

/// 64 bytes in base64.
const SIGNATURE: &str = "^[A-Za-z0-9+/]{85}[AQgw]==$";

const HASH: &str = "^sha256:[0-9a-f]{64}$";

const NAME: &str = "^[A-Za-z0-9+][A-Za-z0-9._:@+-]{0,127}$";

const TILE: &str = "^(?:[0-9]|[1-5][0-9]|6[0-3]|entries)/(?:x[0-9]{3}/){0,6}[0-9]{3}(?:\\.p/(?:[1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?$";

/// Implements the schema of a type that stands for a value.
macro_rules! stands_for {
    ($($(#[$doc:meta])* $name:ident = $schema:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )*};
}

stands_for! {
    /// A digest, or the name of a record.
    Hash = text(HASH).description(Some("`sha256:` and 64 lower-case hex digits."));
    /// An agent's name.
    AgentName = text(NAME).description(Some("1 to 128 of `A-Z a-z 0-9 . _ : @ + -`, the first a letter, a digit or `+`."));
    /// An agent's state.
    State = words(AgentState::ALL.iter().map(|state| state.as_str().to_owned()));
    /// A kind of record.
    Kind = words(RecordKind::ALL.iter().map(|kind| kind.as_str().to_owned()));
    /// Kinds of records.
    Kinds = text(&kinds()).description(Some("Kinds of records, with commas between them."));
    /// A sum that may be larger than any number that JSON has exactly.
    Sum = text("^(?:0|[1-9][0-9]*)$");
    /// An index, a size or a time: a whole number below 2^64, without a leading zero.
    Count = whole(0, usize::MAX);
    /// How many elements of a list are wanted.
    Limit = whole(1, MAX_PAGE).default(Some(DEFAULT_PAGE.into()));
    /// Where a tile is.
    TilePath = text(TILE);
    /// Bytes as they are.
    Octets = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
    /// A record in its DSSE envelope.
    Envelope = envelope(
        RecordKind::ALL.iter().map(|kind| kind.payload_type()),
        MAX_PAYLOAD_BYTES,
        MAX_SIGNATURES,
    );
    /// A request for a lease in its DSSE envelope.
    LeaseRequestEnvelope = envelope(
        [ledger::request::PAYLOAD_TYPE.to_owned()],
        ledger::request::MAX_PAYLOAD_BYTES,
        1,
    );
}

fn text(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(pattern))
}

fn words(words: impl Iterator<Item = String>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
}

fn whole(from: usize, to: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(from))
        .maximum(Some(to))
}

fn kinds() -> String {
    let kinds: Vec<&str> = RecordKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let kind = format!("(?:{})", kinds.join("|"));
    format!("^{kind}(?:,{kind})*$")
}

/// DSSE, as the service reads it: these members and no others. What the payload says is not in the schema: it is
/// `docs/formats.md` that tells it.
fn envelope(
    payload_types: impl IntoIterator<Item = String>,
    max_payload_bytes: usize,
    max_signatures: usize,
) -> ObjectBuilder {
    let payload = text(BASE64)
        .content_encoding("base64")
        .content_media_type("application/json")
        .max_length(Some(max_payload_bytes.div_ceil(3) * 4));
    let signature = strict()
        .property("keyid", text("^[0-9a-f]{32}$"))
        .property("sig", text(SIGNATURE))
        .required("keyid")
        .required("sig");
    let signatures = ArrayBuilder::new()
        .items(signature)
        .min_items(Some(1))
        .max_items(Some(max_signatures))
        .description(Some("Each by another key."));
    strict()
        .property("payloadType", words(payload_types.into_iter()))
        .property("payload", payload)
        .property("signatures", signatures)
        .required("payloadType")
        .required("payload")
        .required("signatures")
}

fn strict() -> ObjectBuilder {
    ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(false)))
}
