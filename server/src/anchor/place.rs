//! Where the anchor is: a file that is replaced as a whole, or an address that takes a PUT and gives it back to a GET.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::blocking::{Client, Response};
use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url};
use tlog::note::MAX_NOTE_BYTES;

/// How long an address may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the anchor is.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a file.
    File(PathBuf),
    /// At an address.
    Address(Url),
}

/// Why what is at a place was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The file could not be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The address could not be reached.
    #[error("{place}: {error}")]
    Unreached {
        /// The address, without secrets.
        place: String,
        /// Why.
        error: reqwest::Error,
    },
    /// The address answered something else.
    #[error("{place} answers with status {status}")]
    Refused {
        /// The address, without secrets.
        place: String,
        /// The status.
        status: StatusCode,
    },
    /// What is there is longer than any checkpoint.
    #[error("what is there is longer than any checkpoint")]
    TooLong,
    /// Not even a failure was told.
    #[error("the way to it did not end")]
    Unfinished,
}

impl Place {
    /// Understands a setting: an address by its scheme, else a path.
    ///
    /// # Errors
    /// What is wrong with it, in words: an address that does not parse, or a file inside the data folder, which would go
    /// back with it.
    pub fn parse(setting: &str, data: &Path) -> Result<Self, String> {
        if setting.starts_with("http://") || setting.starts_with("https://") {
            let url = Url::parse(setting).map_err(|error| format!("{setting}: {error}"))?;
            return Ok(Self::Address(url));
        }
        let path = std::path::absolute(setting).map_err(|error| format!("{setting}: {error}"))?;
        match lies_in(&path, data).map_err(|error| format!("{setting}: {error}"))? {
            true => Err(format!(
                "{setting} lies in the data folder and would go back with it: name a place on another disk"
            )),
            false => Ok(Self::File(path)),
        }
    }

    /// What is there; `None` if nothing is yet.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn read(&self) -> Result<Option<String>, PlaceError> {
        match self {
            Self::File(path) => match File::open(path).and_then(bounded) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(self.failed(error)),
                Ok(text) => text.map(Some).ok_or(PlaceError::TooLong),
            },
            Self::Address(url) => {
                let answer =
                    self.reached(client(url).and_then(|client| client.get(url.clone()).send()))?;
                match answer.status() {
                    StatusCode::NOT_FOUND => Ok(None),
                    status if status.is_success() => {
                        let text = bounded(answer).map_err(|error| self.failed(error))?;
                        text.map(Some).ok_or(PlaceError::TooLong)
                    }
                    status => Err(self.refused(status)),
                }
            }
        }
    }

    /// Replaces what is there. After a crash the old text is there or the new one.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn write(&self, checkpoint: &str) -> Result<(), PlaceError> {
        match self {
            Self::File(path) => replace(path, checkpoint).map_err(|error| self.failed(error)),
            Self::Address(url) => {
                let put = |client: Client| {
                    let request = client.put(url.clone());
                    let request = request.header(CONTENT_TYPE, "text/plain; charset=utf-8");
                    request.body(checkpoint.to_owned()).send()
                };
                let answer: Response = self.reached(client(url).and_then(put))?;
                match answer.status() {
                    status if status.is_success() => Ok(()),
                    status => Err(self.refused(status)),
                }
            }
        }
    }

    fn failed(&self, error: io::Error) -> PlaceError {
        let path = match self {
            Self::File(path) => path.clone(),
            Self::Address(_) => PathBuf::from(self.to_string()),
        };
        PlaceError::File { path, error }
    }

    fn reached<T>(&self, answer: Result<T, reqwest::Error>) -> Result<T, PlaceError> {
        answer.map_err(|error| PlaceError::Unreached {
            place: self.to_string(),
            error: error.without_url(),
        })
    }

    fn refused(&self, status: StatusCode) -> PlaceError {
        let place = self.to_string();
        PlaceError::Refused { place, status }
    }
}

impl fmt::Display for Place {
    /// An address by its scheme and host alone: a path or a query may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Address(url) => f.write_str(&url.origin().ascii_serialization()),
        }
    }
}

/// Whether what is at a path, or would be, is in a folder, whichever way the path takes.
///
/// # Errors
/// If a part of the path that is there cannot be followed.
pub fn lies_in(path: &Path, folder: &Path) -> io::Result<bool> {
    Ok(followed(path)?.starts_with(followed(folder)?))
}

/// The path without links, as far as it is there.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        followed => return followed,
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok(followed(parent)?.join(name)),
        _ => Ok(path),
    }
}

/// A text of at most the longest note; `None` if it is longer.
fn bounded(from: impl io::Read) -> io::Result<Option<String>> {
    let mut text = String::new();
    let most = MAX_NOTE_BYTES as u64;
    from.take(most + 1).read_to_string(&mut text)?;
    Ok((text.len() as u64 <= most).then_some(text))
}

/// Writes beside it, syncs, puts it in its place, and syncs the folder.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let mut file = File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()
}

/// What is kept goes where the settings say, and nowhere that an answer points to.
fn client(url: &Url) -> Result<Client, reqwest::Error> {
    // An error says that there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .timeout(ANSWER_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("dragonsd/", env!("CARGO_PKG_VERSION")));
    if url.scheme() == "http" {
        // Without TLS there is nobody to certify, and a machine without root certificates is as good as any.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}
