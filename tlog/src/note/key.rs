//! The keys of signed notes: names, ids, and the vkey spelling.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer as _, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::{Signature, VerifiedSignature, VerifyNoteError};
use crate::base64::{self, NotCanonical};
use crate::cosignature;

const ED25519: u8 = 0x01;
const COSIGNATURE_V1: u8 = 0x04;
const ML_DSA_44: u8 = 0x06;

const ED25519_KEY_BYTES: usize = 32;
const ML_DSA_44_KEY_BYTES: usize = 1312;

/// The name of a key: not empty, without spaces, plus signs and control characters. For a log, its origin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`ParseKeyError::Name`] if no key can be called that.
    pub fn parse(name: &str) -> Result<Self, ParseKeyError> {
        // signed-note, "Format": no Unicode spaces, no plus; no control characters, as nowhere in a note.
        let forbidden = |c: char| c.is_whitespace() || c == '+' || c < ' ';
        match name.is_empty() || name.contains(forbidden) {
            true => Err(ParseKeyError::Name),
            false => Ok(Self(name.to_owned())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a key: four bytes that tell keys of one name apart. Not a fingerprint: anyone can make two keys with
/// one id, and gets no more from it than a signature that does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 4]);

impl KeyId {
    /// The id that these bytes are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }

    /// The first four bytes of `SHA-256(name ‖ 0x0A ‖ algorithm ‖ key)` (signed-note, "Signatures").
    fn of(name: &KeyName, algorithm: Algorithm, key: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(name.as_str())
            .chain_update([b'\n', algorithm.byte()])
            .chain_update(key)
            .finalize();
        let [a, b, c, d, ..]: [u8; 32] = digest.into();
        Self([a, b, c, d])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 over the text: how logs sign.
    Ed25519,
    /// Ed25519 over a time and the text: how witnesses sign, see [`cosignature`].
    CosignatureV1,
    /// ML-DSA-44. Its keys are read, so that policies which name some can be, but its signatures are not checked:
    /// lines of such a key are ignored like those of a key that is not known.
    MlDsa44,
}

impl Algorithm {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => ED25519,
            Self::CosignatureV1 => COSIGNATURE_V1,
            Self::MlDsa44 => ML_DSA_44,
        }
    }
}

/// A public key that checks signatures, with its name. Formatting writes its vkey,
/// `<name>+<id in hex>+<base64 of algorithm ‖ key>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    key: PublicKey,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PublicKey {
    // Decompressed once: that costs a tenth of checking a signature.
    Ed25519(VerifyingKey),
    CosignatureV1(VerifyingKey),
    MlDsa44(Vec<u8>),
}

impl VerifierKey {
    /// Reads a vkey.
    ///
    /// # Errors
    ///
    /// [`ParseKeyError`] if it is not spelled as formatting spells it, its id is not that of the key, or its
    /// algorithm is not one of [`Algorithm`].
    pub fn parse(vkey: &str) -> Result<Self, ParseKeyError> {
        // The base64 may have plus signs, the name and the id have none: split from the left.
        let (name, rest) = vkey.split_once('+').ok_or(ParseKeyError::Shape)?;
        let (id, blob) = rest.split_once('+').ok_or(ParseKeyError::Shape)?;
        let blob = base64::decode(blob)?;
        let (algorithm, key) = blob.split_first().ok_or(ParseKeyError::Shape)?;
        let key = Self::new(KeyName::parse(name)?, PublicKey::parse(*algorithm, key)?);
        match key.id.to_string() == id {
            true => Ok(key),
            false => Err(ParseKeyError::WrongId { want: key.id }),
        }
    }

    /// The key of a log of this name, from its 32 bytes.
    ///
    /// # Errors
    ///
    /// [`ParseKeyError`] if they are not an Ed25519 key.
    pub fn ed25519(name: KeyName, key: &[u8; 32]) -> Result<Self, ParseKeyError> {
        Ok(Self::new(name, PublicKey::parse(ED25519, key)?))
    }

    /// The key with which a witness of this name checks, from the Ed25519 key that it signs with.
    pub(crate) fn cosignature_v1(name: KeyName, key: VerifyingKey) -> Self {
        Self::new(name, PublicKey::CosignatureV1(key))
    }

    fn new(name: KeyName, key: PublicKey) -> Self {
        let id = KeyId::of(&name, key.algorithm(), key.as_bytes());
        Self { name, id, key }
    }

    /// The key's name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key's id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// How the key signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// The bytes of the public key, without name and algorithm.
    #[must_use]
    pub fn key_bytes(&self) -> &[u8] {
        self.key.as_bytes()
    }

    /// Checks a signature line over a text. `None` if the line is not this key's, or the key's algorithm is not
    /// checked here.
    ///
    /// # Errors
    ///
    /// [`VerifyNoteError::BadSignature`] if the line is this key's and does not verify.
    pub fn verify(
        &self,
        text: &str,
        line: &Signature,
    ) -> Result<Option<VerifiedSignature>, VerifyNoteError> {
        if line.name != self.name || line.key_id != self.id {
            return Ok(None);
        }
        let time_s = match &self.key {
            PublicKey::Ed25519(key) => {
                verify_ed25519(key, text.as_bytes(), &line.bytes).map(|()| None)
            }
            PublicKey::CosignatureV1(key) => cosignature::verify(key, text, &line.bytes).map(Some),
            PublicKey::MlDsa44(_) => return Ok(None),
        };
        let (name, key_id) = (self.name.clone(), self.id);
        match time_s {
            Some(time_s) => Ok(Some(VerifiedSignature {
                name,
                key_id,
                time_s,
            })),
            None => Err(VerifyNoteError::BadSignature { name, key_id }),
        }
    }
}

impl PublicKey {
    fn parse(algorithm: u8, key: &[u8]) -> Result<Self, ParseKeyError> {
        match algorithm {
            ED25519 => parse_ed25519(key).map(Self::Ed25519),
            COSIGNATURE_V1 => parse_ed25519(key).map(Self::CosignatureV1),
            ML_DSA_44 => sized::<ML_DSA_44_KEY_BYTES>(key).map(|key| Self::MlDsa44(key.to_vec())),
            _ => Err(ParseKeyError::UnknownAlgorithm { algorithm }),
        }
    }

    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::CosignatureV1(_) => Algorithm::CosignatureV1,
            Self::MlDsa44(_) => Algorithm::MlDsa44,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(key) | Self::CosignatureV1(key) => key.as_bytes(),
            Self::MlDsa44(key) => key,
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blob = [&[self.algorithm().byte()], self.key_bytes()].concat();
        write!(f, "{}+{}+{}", self.name, self.id, base64::encode(blob))
    }
}

impl FromStr for VerifierKey {
    type Err = ParseKeyError;

    fn from_str(vkey: &str) -> Result<Self, ParseKeyError> {
        Self::parse(vkey)
    }
}

/// The key that a log signs its checkpoints with: Ed25519 over the text.
#[derive(Clone)]
pub struct SigningKey {
    name: KeyName,
    key: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// The key of this name with this seed, the private key of RFC 8032 §5.1.5.
    #[must_use]
    pub fn new(name: KeyName, seed: &[u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        Self { name, key }
    }

    /// The key's name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The public key that checks what this one signs.
    #[must_use]
    pub fn verifier_key(&self) -> VerifierKey {
        let key = PublicKey::Ed25519(self.key.verifying_key());
        VerifierKey::new(self.name.clone(), key)
    }

    /// The signature line over a note's text, whose last line break is signed too.
    #[must_use]
    pub fn sign(&self, text: &str) -> Signature {
        Signature {
            name: self.name.clone(),
            key_id: self.verifier_key().id,
            bytes: self.key.sign(text.as_bytes()).to_bytes().into(),
        }
    }
}

/// Says whose key it is, never the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.name)
    }
}

/// Why a text is not a vkey, or a name no key's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseKeyError {
    /// It has not the three parts of a vkey.
    #[error("a vkey is a name, an id and a key, joined by plus signs")]
    Shape,
    /// The name is empty, or has a space, a plus sign or a control character.
    #[error("a key's name is not empty and has no space, plus sign or control character")]
    Name,
    /// The key is not base64 in its canonical spelling.
    #[error("a vkey's key is written in canonical base64")]
    Base64(#[from] NotCanonical),
    /// The algorithm is not supported.
    #[error("the signature algorithm {algorithm:#04x} is not known")]
    UnknownAlgorithm {
        /// The algorithm's byte.
        algorithm: u8,
    },
    /// The key is too long or too short for its algorithm.
    #[error("a key of this algorithm has {want} bytes, not {got}")]
    WrongLength {
        /// Bytes of the key that came.
        got: usize,
        /// Bytes that a key of the algorithm has.
        want: usize,
    },
    /// The bytes are not a point of the curve, or one of small order, for which signatures mean nothing.
    #[error("the bytes are not an Ed25519 public key")]
    NotAKey,
    /// The id is not that of the name and the key.
    #[error("the id of this name and key is {want}")]
    WrongId {
        /// What it should be.
        want: KeyId,
    },
}

/// `None` if it does not verify. Strict: what one verifier takes, every verifier takes.
pub(crate) fn verify_ed25519(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> Option<()> {
    let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
    key.verify_strict(message, &signature).ok()
}

fn parse_ed25519(bytes: &[u8]) -> Result<VerifyingKey, ParseKeyError> {
    let key = VerifyingKey::from_bytes(sized::<ED25519_KEY_BYTES>(bytes)?);
    let strong = key.ok().filter(|key| !key.is_weak());
    strong.ok_or(ParseKeyError::NotAKey)
}

fn sized<const WANT: usize>(bytes: &[u8]) -> Result<&[u8; WANT], ParseKeyError> {
    let (got, want) = (bytes.len(), WANT);
    let sized = bytes.try_into();
    sized.map_err(|_| ParseKeyError::WrongLength { got, want })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vkey(name: &str, algorithm: Algorithm, key: &[u8]) -> String {
        let id = KeyId::of(&KeyName(name.to_owned()), algorithm, key);
        let blob = [&[algorithm.byte()], key].concat();
        format!("{name}+{id}+{}", base64::encode(blob))
    }

    #[test]
    fn names_have_no_spaces_plus_signs_or_controls() {
        for name in ["a", "example.com/log", "日本", "a\u{7f}"] {
            assert_eq!(KeyName::parse(name).unwrap().as_str(), name);
        }
        for name in [
            "",
            " ",
            "a b",
            "a+b",
            "a\n",
            "\u{a0}",
            "a\u{2003}",
            "\u{85}",
            "\u{3000}",
            "\u{1}",
        ] {
            assert_eq!(KeyName::parse(name), Err(ParseKeyError::Name), "{name:?}");
        }
    }

    #[test]
    fn vkeys_in_another_spelling_are_refused() {
        let good = "example.com/workledger+010682ba+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
        let key = VerifierKey::parse(good).unwrap();
        let wrong_id = ParseKeyError::WrongId { want: key.id() };
        assert_eq!(
            VerifierKey::parse(&good.replace("010682ba", "010682bb")),
            Err(wrong_id.clone())
        );
        assert_eq!(
            VerifierKey::parse(&good.replace("010682ba", "010682BA")),
            Err(wrong_id.clone())
        );
        assert_eq!(
            VerifierKey::parse(&good.replace("010682ba", "10682ba")),
            Err(wrong_id)
        );
        for (vkey, want) in [
            ("", ParseKeyError::Shape),
            ("a", ParseKeyError::Shape),
            ("a+b", ParseKeyError::Shape),
            ("a+b+", ParseKeyError::Shape),
            ("a+b+AQ=", NotCanonical { length: 3 }.into()),
            ("a+b+AQ==", ParseKeyError::WrongLength { got: 0, want: 32 }),
            (
                "a+b+BgA=",
                ParseKeyError::WrongLength { got: 1, want: 1312 },
            ),
            ("a+b+AgA=", ParseKeyError::UnknownAlgorithm { algorithm: 2 }),
        ] {
            assert_eq!(VerifierKey::parse(vkey), Err(want), "{vkey}");
        }
    }

    #[test]
    fn points_of_small_order_are_no_keys() {
        let mut identity = [0; 32];
        identity[0] = 1;
        for key in [[0; 32], identity] {
            let vkey = vkey("a", Algorithm::Ed25519, &key);
            assert_eq!(VerifierKey::parse(&vkey), Err(ParseKeyError::NotAKey));
        }
    }

    /// `R` is the neutral point and `S` is `k` times the secret scalar: a signature that lax verifiers take.
    #[test]
    fn what_only_lax_verifiers_take_is_refused() {
        const LAX: &str = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA3d1cZQO576fj/Tgnh+28HQNLKToBqarTA1vNb3fGcDw==";
        let key = SigningKey::new(KeyName::parse("a").unwrap(), &[1; 32]);
        let bytes = base64::decode(LAX).unwrap();
        let signature = ed25519_dalek::Signature::from_slice(&bytes).unwrap();
        let point = key.key.verifying_key();
        assert!(ed25519_dalek::Verifier::verify(&point, b"text\n", &signature).is_ok());
        assert_eq!(verify_ed25519(&point, b"text\n", &bytes), None);
    }

    #[test]
    fn lines_of_ml_dsa_keys_are_ignored() {
        let text = vkey("pq", Algorithm::MlDsa44, &[7; ML_DSA_44_KEY_BYTES]);
        let key = VerifierKey::parse(&text).unwrap();
        assert_eq!(
            (key.to_string(), key.algorithm()),
            (text, Algorithm::MlDsa44)
        );
        let (name, key_id, bytes) = (key.name().clone(), key.id(), vec![0; 2428]);
        let line = Signature {
            name,
            key_id,
            bytes,
        };
        assert_eq!(key.verify("text\n", &line), Ok(None));
    }

    #[test]
    fn the_seed_is_never_printed() {
        let key = SigningKey::new(KeyName::parse("log").unwrap(), &[42; 32]);
        assert_eq!(format!("{key:?}"), "SigningKey(log)");
    }

    proptest! {
        #[test]
        fn formatting_and_parsing_are_inverse(name in "[^\\s+\\x00-\\x1f]{1,20}", seed: [u8; 32]) {
            let key = SigningKey::new(KeyName::parse(&name).unwrap(), &seed).verifier_key();
            prop_assert_eq!(VerifierKey::parse(&key.to_string()), Ok(key.clone()));
            let PublicKey::Ed25519(point) = key.key else { unreachable!() };
            let key = VerifierKey::cosignature_v1(key.name, point);
            prop_assert_eq!(VerifierKey::parse(&key.to_string()), Ok(key));
        }
    }
}
