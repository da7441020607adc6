//! The tools that an `agent.toml` lists of a server: replaced by those that the server has, in a text that stays as its
//! author wrote it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use host::durable::{Draft, Readers};
use ledger::record::Tool;
use ledger::text::Text;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::config::{self, AgentConfig};
use super::{ManifestError, read_bounded};

/// Lists these tools as those of the server, in place of whatever was listed of it before.
///
/// # Errors
///
/// [`ManifestError`]; then the file is as it was.
pub fn replace(directory: &Path, server: &Text, tools: &[Tool]) -> Result<(), ManifestError> {
    let path = directory.join(config::FILE_NAME);
    let failed = |reason: String| ManifestError::Edit {
        path: path.clone(),
        reason,
    };
    let bytes = read_bounded(&path, config::MAX_CONFIG_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|error| failed(error.to_string()))?;
    let edited = replaced(&text, server, tools).map_err(failed)?;
    AgentConfig::parse(&edited).map_err(|source| ManifestError::Config {
        path: path.clone(),
        source,
    })?;
    write(&path, &edited).map_err(|error| failed(error.to_string()))
}

fn replaced(text: &str, server: &Text, tools: &[Tool]) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let listed = document
        .entry("tools")
        .or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let listed = listed.as_array_of_tables_mut();
    let listed = listed.ok_or("its tools are not written as [[tools]]")?;
    let is_of_server = |table: &Table| {
        let named = table.get("server").and_then(Item::as_str);
        named == Some(server.as_str())
    };
    listed.retain(|table| !is_of_server(table));
    for tool in tools {
        let mut table = Table::new();
        table.insert("name", value(tool.name.as_str()));
        table.insert("server", value(server.as_str()));
        table.insert("digest", value(tool.digest.to_string()));
        listed.push(table);
    }
    Ok(document.to_string())
}

/// It is readable by those who could read it before.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let there = fs::metadata(path)?;
    let mut draft = Draft::of(path, Readers::Anybody)?.as_was(&there)?;
    draft.write_all(text.as_bytes())?;
    draft.place()
}

#[cfg(test)]
mod tests {
    use ledger::digest::Digest;

    use super::*;

    #[test]
    fn tools_of_one_server_are_replaced_and_all_else_stays() {
        let digest = Digest::of(&[b"x"]);
        let tool = |name: &str| Tool {
            name: name.parse().unwrap(),
            server: Some("files".parse().unwrap()),
            digest,
        };
        let own = format!(
            "# mine\nagent = \"a\" # name\n\n[[tools]]\nname = \"grep\"\ndigest = \"{digest}\"\n"
        );
        let server: Text = "files".parse().unwrap();
        let first = replaced(&own, &server, &[tool("read"), tool("write")]).unwrap();
        assert!(first.starts_with(&own), "{first}");
        assert_eq!(first.matches("server = \"files\"").count(), 2);
        let second = replaced(&first, &server, &[tool("read")]).unwrap();
        assert_eq!(second.matches("server = \"files\"").count(), 1);
        assert!(
            second.starts_with(&own) && !second.contains("write"),
            "{second}"
        );
        assert_eq!(replaced(&second, &server, &[]).unwrap(), own);
        assert!(replaced("tools = []\n", &server, &[]).is_err());
    }
}
