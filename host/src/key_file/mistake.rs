//! What a file holds that was given as a key file and is none: people take the wrong file, or have a key in another
//! form. Each has its sentence, with the command that helps.

use std::path::Path;

/// What is wrong with a key file. It says nothing of what the file holds beyond its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The file has nothing in it.
    Empty,
    /// The file is longer than a key file ever is.
    TooLong,
    /// An editor has put a byte order mark before the key.
    ByteOrderMark,
    /// The file is in UTF-16, as some editors and shells save text.
    Utf16,
    /// The key is right, and something stands before or behind it.
    Surrounded,
    /// The key is encrypted with a passphrase.
    Encrypted,
    /// It is a key of OpenSSH.
    OpenSsh,
    /// It is a public key.
    Public,
    /// It is a certificate.
    Certificate,
    /// It holds more than one key.
    Several {
        /// How many.
        count: usize,
    },
    /// It is a private key of another algorithm, or one that is damaged.
    OtherAlgorithm,
    /// It is the binary form of a key.
    Der,
    /// It is something else.
    Other,
}

/// How every PEM text begins (RFC 7468 §2).
pub(super) const BEGIN: &str = "-----BEGIN ";
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

impl Mistake {
    /// What is wrong with a file that could not be read as a key.
    pub(super) fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0xef, 0xbb, 0xbf, ..] => return Self::ByteOrderMark,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Self::Utf16,
            // A sequence of DER, which PKCS#8 is.
            [0x30, ..] if std::str::from_utf8(bytes).is_err() || bytes.contains(&0) => {
                return Self::Der;
            }
            _ => {}
        }
        match std::str::from_utf8(bytes) {
            Ok(text) if text.trim().is_empty() => Self::Empty,
            Ok(text) => Self::of_text(text),
            Err(_) => Self::Other,
        }
    }

    fn of_text(text: &str) -> Self {
        let labels: Vec<&str> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix(BEGIN)?.strip_suffix("-----"))
            .collect();
        let is_private = |label: &&str| label.ends_with("PRIVATE KEY");
        let private: Vec<&str> = labels.iter().copied().filter(is_private).collect();
        match (private.as_slice(), labels.as_slice()) {
            ([_, _, ..], _) => Self::Several {
                count: private.len(),
            },
            (["PRIVATE KEY"], _) if is_surrounded(text) => Self::Surrounded,
            (["ENCRYPTED PRIVATE KEY"], _) => Self::Encrypted,
            (["OPENSSH PRIVATE KEY"], _) => Self::OpenSsh,
            // What the older forms of PEM say of encryption is in a header (RFC 1421 §4.6).
            ([_], _) if text.contains("Proc-Type: 4,ENCRYPTED") => Self::Encrypted,
            ([_], _) => Self::OtherAlgorithm,
            ([], [label, ..]) if label.ends_with("PUBLIC KEY") => Self::Public,
            ([], [label, ..]) if label.contains("CERTIFICATE") => Self::Certificate,
            ([], _) if is_ssh_public(text) => Self::Public,
            ([], _) => Self::Other,
        }
    }

    /// What is wrong and what helps, as the rest of a sentence that begins with the file's name.
    pub(super) fn sentence(self, path: &Path) -> String {
        let file = shell_word(path);
        match self {
            Self::Empty => format!("is empty; make a key under another name: {NEW_KEY}"),
            Self::TooLong => "is longer than any key file; is it the right file?".to_owned(),
            Self::ByteOrderMark => format!(
                "begins with a byte order mark, which an editor put there; remove it: \
                 sed -i '1s/^\\xEF\\xBB\\xBF//' {file}"
            ),
            Self::Utf16 => format!(
                "is saved as UTF-16, but a key file is plain text; write it again: \
                 (umask 077; iconv -f UTF-16 -t ASCII {file} > key.pem)"
            ),
            Self::Surrounded => format!(
                "has something before or behind its key, such as a blank line; keep the key alone: \
                 sed -i -n '/-----BEGIN/,/-----END/s/^[[:space:]]*//p' {file}"
            ),
            Self::Encrypted => format!(
                "is encrypted with a passphrase, and no program of Dragons asks for one; decrypt it into a file of your \
                 own: (umask 077; openssl pkey -in {file} -out key.pem)"
            ),
            Self::OpenSsh => format!(
                "is an OpenSSH key, and a key of a log is for nothing else; make one: {NEW_KEY}"
            ),
            Self::Public => format!(
                "holds a public key, and only the private key signs; name the file that this came from, or make a new \
                 key: {NEW_KEY}"
            ),
            Self::Certificate => {
                format!("holds a certificate, and no private key; make a key: {NEW_KEY}")
            }
            Self::Several { count } => format!(
                "holds {count} private keys, and a key file holds one; write the first into a file of its own: \
                 (umask 077; openssl pkey -in {file} -out key.pem)"
            ),
            Self::OtherAlgorithm => format!(
                "holds a private key that is damaged or not Ed25519; see which: openssl pkey -in {file} -noout -text_pub; \
                 make one: {NEW_KEY}"
            ),
            Self::Der => format!(
                "is in DER, the binary form of a key, and a key file is PEM; convert it: \
                 (umask 077; openssl pkey -inform DER -in {file} -out key.pem)"
            ),
            Self::Other => {
                format!("is not an Ed25519 private key in PKCS#8 PEM; make one: {NEW_KEY}")
            }
        }
    }
}

/// The command that makes a key.
const NEW_KEY: &str = "dragons keygen --name NAME --out FILE";

/// Whether the key would be one without what stands around it, or before its lines.
fn is_surrounded(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begin = lines.iter().position(|line| *line == PRIVATE_KEY);
    let end = lines.iter().position(|line| *line == END);
    match (begin, end) {
        (Some(begin), Some(end)) if begin < end => {
            let alone = lines[begin..=end].join("\n") + "\n";
            ledger::key::PrivateKey::from_pem(&alone).is_ok()
        }
        _ => false,
    }
}

fn is_ssh_public(text: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-ssh-"]
        .iter()
        .any(|prefix| text.trim_start().starts_with(prefix))
}

/// A path as a shell reads it back.
fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    match text.chars().all(is_plain) {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
