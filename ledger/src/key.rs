//! Ed25519 keys: files, names, signatures.
//!
//! A private key is a PKCS#8 **version 1** PEM file, as `openssl genpkey -algorithm ed25519`
//! makes it (RFC 8410 §7); version 2, with the public key inside, is read too, but never
//! written, because OpenSSL 3.0 does not read it.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::Signer as _;
#[cfg(feature = "pem")]
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
#[cfg(feature = "pem")]
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};

use crate::codes::{Code, Refusal};
use crate::digest::{Digest, parse_hex, write_hex};

/// The name of a key: the first 16 bytes of the SHA-256 of the public key, in lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 16]);

/// An Ed25519 public key, decompressed once. Keys of small order are refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

/// An Ed25519 private key. It prints as its public key's name and nothing more.
#[derive(Clone)]
pub struct PrivateKey(ed25519_dalek::SigningKey);

/// An Ed25519 signature, 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignatureBytes([u8; 64]);

/// A file that is not a key that this program can use. It never quotes the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 private key in PKCS#8 PEM")]
pub struct NotAKey;

impl KeyId {
    /// Names a public key by its bytes.
    pub fn of(key: &[u8]) -> Self {
        let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            *Digest::of(&[key]).as_bytes();
        Self(id)
    }
}

impl PublicKey {
    /// Takes the 32 bytes of RFC 8032 §5.1.2.
    ///
    /// # Errors
    /// `malformed` if they are not a point of the curve, or one of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Refusal> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).ok();
        let strong = key.filter(|key| !key.is_weak());
        strong
            .map(Self)
            .ok_or_else(|| Code::Malformed.because("not a usable Ed25519 public key"))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The key's name.
    pub fn id(&self) -> KeyId {
        KeyId::of(self.as_bytes())
    }

    /// Whether the signature is by this key over these bytes, by the strict rules that
    /// leave no two readings (`verify_strict`; a batch would accept more).
    pub fn verifies(&self, message: &[u8], signature: &SignatureBytes) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(message, &signature).is_ok()
    }
}

impl PrivateKey {
    /// The key that this seed determines. The seed comes from outside: this crate draws no
    /// random numbers.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Reads a PKCS#8 PEM file, version 1 or 2.
    ///
    /// # Errors
    /// [`NotAKey`], which quotes nothing of the file.
    #[cfg(feature = "pem")]
    pub fn from_pem(pem: &str) -> Result<Self, NotAKey> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(pem)
            .map(Self)
            .map_err(|_| NotAKey)
    }

    /// Writes a PKCS#8 PEM file, version 1.
    ///
    /// # Errors
    /// [`NotAKey`], should the encoder fail; it has no reason to.
    #[cfg(feature = "pem")]
    pub fn to_pem(&self) -> Result<String, NotAKey> {
        let version_1 = KeypairBytes {
            secret_key: self.0.to_bytes(),
            public_key: None,
        };
        let pem = version_1
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| NotAKey)?;
        Ok(pem.as_str().to_owned())
    }

    /// The seed, for the log's own note signer.
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs; the same key and bytes always give the same signature (RFC 8032).
    pub fn sign(&self, message: &[u8]) -> SignatureBytes {
        SignatureBytes(self.0.sign(message).to_bytes())
    }
}

impl SignatureBytes {
    /// Takes 64 bytes.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&tlog::base64::encode(self.as_bytes()))
    }
}

impl fmt::Display for SignatureBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&tlog::base64::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public().id())
    }
}

impl fmt::Debug for SignatureBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl AsRef<[u8]> for KeyId {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let id = parse_hex(text).map(Self);
        id.ok_or_else(|| Code::Malformed.because("a keyid is 32 lower-case hex digits"))
    }
}

impl FromStr for PublicKey {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        Self::from_bytes(&fixed_base64(text)?)
    }
}

impl FromStr for SignatureBytes {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        fixed_base64(text).map(Self)
    }
}

/// Reads exactly `N` bytes of canonical base64.
fn fixed_base64<const N: usize>(text: &str) -> Result<[u8; N], Refusal> {
    let bytes = tlog::base64::decode(text).ok();
    let exact = bytes.and_then(|bytes| bytes.try_into().ok());
    exact.ok_or_else(|| Code::Malformed.because(format!("not {N} bytes in canonical base64")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_version_1_and_reads_both() {
        let key = PrivateKey::from_seed(&[7; 32]);
        let pem = key.to_pem().unwrap();
        assert_eq!(PrivateKey::from_pem(&pem).unwrap().seed(), [7; 32]);
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = tlog::base64::decode(&body).unwrap();
        assert_eq!(der.len(), 48, "version 1 holds the seed alone");
        assert_eq!(der[4], 0, "the version field");
        let version_2 = KeypairBytes {
            secret_key: [7; 32],
            public_key: Some(ed25519_dalek::pkcs8::PublicKeyBytes(
                *key.public().as_bytes(),
            )),
        };
        let pem = version_2.to_pkcs8_pem(LineEnding::LF).unwrap();
        assert_eq!(PrivateKey::from_pem(&pem).unwrap().seed(), [7; 32]);
        assert_eq!(PrivateKey::from_pem("-----BEGIN").unwrap_err(), NotAKey);
    }

    #[test]
    fn a_private_key_does_not_print() {
        let key = PrivateKey::from_seed(&[7; 32]);
        assert_eq!(
            format!("{key:?}"),
            format!("PrivateKey({})", key.public().id())
        );
    }

    #[test]
    fn keyids_are_those_of_the_golden_history() {
        let id = |seed: u8| PrivateKey::from_seed(&[seed; 32]).public().id().to_string();
        assert_eq!(id(1), "34750f98bd59fcfc946da45aaabe933b");
        assert_eq!(id(5), "7599776c3085e3f9da0d13071eb0b4ab");
    }

    /// `R` is the neutral point and `S` is `k` times the secret scalar: a signature that lax
    /// verifiers take, so a log that held it would be judged in two ways.
    #[test]
    fn what_only_lax_verifiers_take_is_refused() {
        const LAX: &str = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA3d1cZQO576fj/Tgnh+28HQNLKToBqarTA1vNb3fGcDw==";
        let key = PrivateKey::from_seed(&[1; 32]).public();
        let signature: SignatureBytes = LAX.parse().unwrap();
        let lax = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        assert!(ed25519_dalek::Verifier::verify(&key.0, b"text\n", &lax).is_ok());
        assert!(!key.verifies(b"text\n", &signature));
    }

    #[test]
    fn keys_of_small_order_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(PublicKey::from_bytes(&identity).is_err());
        assert!(PublicKey::from_bytes(&[0; 32]).is_err());
    }
}
