//! `page`: whether a verifier's page, or a sealed case, is this program's own.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};
use client::http::Service;
use flate2::read::MultiGzDecoder;
use host::bounded;
use ledger::digest::Digest;
use ledger::json::{Value, object};

use crate::exit::Exit;
use crate::output;
use crate::page::{self, Page, integrity};
use crate::session::Session;

/// The longest page or case that is read.
const MAX_PAGE_BYTES: usize = 1024 * 1024 * 1024;

/// What to do with a page.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compare a page or a sealed case with the page that is built into this program
    Check(CheckOptions),
}

/// Which page.
#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// The file, or the address at which the page is served, such as http://127.0.0.1:7117/verify/
    #[arg(value_name = "FILE|URL")]
    page: String,
}

/// Does it.
///
/// # Errors
///
/// If the page cannot be read, or is not one.
pub(crate) fn run(session: &Session, command: &Command) -> Result<Exit> {
    let Command::Check(options) = command;
    let source = Source::of(&options.page)?;
    let text = source.page()?;
    let page = Page::of(&text);
    ensure!(
        page.has_a_place(),
        "{:?} is not a verifier's page: it has no place for evidence",
        options.page
    );
    let digest = page.digest();
    let known = page::known();
    ensure!(
        !known.is_empty(),
        "the page is {digest}, but there is nothing to compare it with: {}",
        page::whole().unwrap_err()
    );
    let form = known.iter().find(|(_, own)| *own == digest);
    let faults = source.faults_of_parts(&page)?;
    let evidence = evidence(&page)?;
    let is_same = form.is_some() && faults.is_empty();
    output::object(
        session.json(),
        &summary(&page, form.map(|it| it.0), evidence, &faults),
    )?;
    let said = match (form, faults.is_empty()) {
        (Some(_), true) => "it is the page of this program",
        (Some(_), false) => "the page is that of this program, and a part beside it is not",
        (None, _) => {
            "it is NOT the page of this program: it was changed, or it is of another version"
        }
    };
    output::complain(said);
    Ok(match is_same {
        true => Exit::Good,
        false => Exit::Bad,
    })
}

fn summary(
    page: &Page<'_>,
    form: Option<&'static str>,
    evidence: Option<Digest>,
    faults: &[String],
) -> Value {
    let claims = page.claims().unwrap_or_default();
    object([
        ("page", page.digest().into()),
        ("same", (form.is_some() && faults.is_empty()).into()),
        ("form", form.into()),
        ("says_version", claims.version.into()),
        ("says_commit", claims.commit.into()),
        ("evidence", evidence.into()),
        ("faults", faults.iter().map(String::as_str).collect()),
    ])
}

/// The digest of the evidence in a case, unwrapped, as `dragons export` would have written it.
fn evidence(page: &Page<'_>) -> Result<Option<Digest>> {
    let Some(gzipped) = page.evidence()? else {
        return Ok(None);
    };
    let mut plain = Vec::new();
    let unwrapped = std::io::copy(&mut MultiGzDecoder::new(&*gzipped), &mut plain);
    unwrapped.context("the evidence inside is not gzip")?;
    Ok(Some(Digest::of(&[&plain])))
}

/// Where a page is.
enum Source<'a> {
    File(&'a Path),
    /// A service, and the path of the page on it.
    Address(Service, String),
}

impl<'a> Source<'a> {
    fn of(page: &'a str) -> Result<Self> {
        let Some((scheme, rest)) = page.split_once("://") else {
            return Ok(Self::File(Path::new(page)));
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let service = Service::at(&format!("{scheme}://{host}"))?;
        Ok(Self::Address(service, format!("/{path}")))
    }

    fn page(&self) -> Result<String> {
        let bytes = match self {
            Self::File(path) => bounded::read(path, MAX_PAGE_BYTES)?,
            Self::Address(service, path) => fetch(service, path)?,
        };
        String::from_utf8(bytes).context("the page is not text")
    }

    /// What is beside a page that is served, and is not what the page says. A browser would refuse it too.
    fn faults_of_parts(&self, page: &Page<'_>) -> Result<Vec<String>> {
        let beside = page.claims().unwrap_or_default().beside;
        let mut faults = Vec::new();
        for (address, wanted) in beside {
            let bytes = match self {
                Self::File(path) => {
                    let beside = path.with_file_name(&address);
                    bounded::read(&beside, MAX_PAGE_BYTES)?
                }
                Self::Address(service, path) => {
                    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                    fetch(service, &format!("{folder}/{address}"))?
                }
            };
            if integrity(&bytes) != wanted {
                faults.push(format!("{address} has another digest"));
            }
        }
        Ok(faults)
    }
}

fn fetch(service: &Service, path: &str) -> Result<Vec<u8>> {
    let look = service.look(path)?;
    ensure!(
        look.status == 200,
        "{}{path} answers {}",
        service.url(),
        look.status
    );
    Ok(look.into_body())
}
