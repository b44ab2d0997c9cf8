//! The files of an execution: those that callers uploaded for it, and one in each directory that the agent itself fills.
//!
//! Executions of the same agent with the same storage key have one shared folder, so each of them lists the shared files of
//! all, and downloads them.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::api::Api;
use super::file::{FileContent, StoredFile};
use super::refusal::Refusal;
use super::{SimulatedExecution, State};

/// A directory of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Directory {
    Uploads,
    Downloads,
    Workspace,
    Shared,
    Debug,
    Tracing,
}

impl Directory {
    const ALL: [Directory; 6] = [
        Directory::Uploads,
        Directory::Downloads,
        Directory::Workspace,
        Directory::Shared,
        Directory::Debug,
        Directory::Tracing,
    ];

    fn name(self) -> &'static str {
        match self {
            Directory::Uploads => "uploads",
            Directory::Downloads => "downloads",
            Directory::Workspace => "workspace",
            Directory::Shared => "shared",
            Directory::Debug => "debug",
            Directory::Tracing => "tracing",
        }
    }

    /// Returns the file that every execution has there: its number, name, media type, first text and size.
    fn made_file(self) -> Option<(u64, &'static str, &'static str, &'static str, u64)> {
        match self {
            Directory::Uploads => None,
            // The file of the activity file_added.
            Directory::Downloads => Some((1 << 32, "invoice.pdf", "application/pdf", "%PDF-1.7\n%", 4711)),
            Directory::Workspace => Some((1 << 34, "notes.md", "text/markdown", "Notes of ", 300)),
            Directory::Shared => Some((2 << 34, "ledger.csv", "text/csv", "execution;", 500)),
            Directory::Debug => Some((3 << 34, "console.log", "text/plain", "Log of ", 900)),
            Directory::Tracing => Some((4 << 34, "trace.json", "application/json", "Trace of ", 800)),
        }
    }
}

/// A file of an execution.
#[derive(Debug, Clone)]
pub(super) struct FolderFile {
    pub(super) id: String,
    /// The execution to which it belongs; for a shared file, it may be another than that whose files were requested.
    pub(super) execution_id: String,
    pub(super) directory: Directory,
    pub(super) media_type: String,
    pub(super) content: Arc<FileContent>,
    name: String,
    created_at: String,
}

impl State {
    /// Returns the files of an execution, in the order of their directories.
    pub(super) fn folder(&mut self, id: &str) -> Result<Vec<FolderFile>, Refusal> {
        let execution = self.find(id)?.clone();
        let mut folder: Vec<FolderFile> = self.files.of_execution(id).map(|file| uploaded(file, id)).collect();
        for directory in Directory::ALL {
            if directory == Directory::Shared {
                let sharing = self.executions.iter().filter(|other| has_same_folder(other, &execution));
                folder.extend(sharing.filter_map(|other| made(other, directory)));
            } else {
                folder.extend(made(&execution, directory));
            }
        }
        Ok(folder)
    }
}

fn has_same_folder(one: &SimulatedExecution, other: &SimulatedExecution) -> bool {
    one.started_by() == other.started_by() && storage_key(one) == storage_key(other)
}

fn storage_key(execution: &SimulatedExecution) -> Option<&str> {
    let options = execution.options.as_ref()?;
    ["sharedStorageKey", "variantKey"].into_iter().find_map(|name| options.get(name)?.as_str())
}

fn uploaded(file: &StoredFile, execution: &str) -> FolderFile {
    FolderFile {
        id: file.id.clone(),
        execution_id: execution.to_owned(),
        directory: Directory::Uploads,
        name: file.file.name.clone(),
        media_type: file.file.media_type.clone(),
        content: Arc::clone(&file.file.content),
        created_at: written(file.stored_at),
    }
}

/// Returns the file that an execution has by itself in a directory.
fn made(execution: &SimulatedExecution, directory: Directory) -> Option<FolderFile> {
    let (number, name, media_type, text, size) = directory.made_file()?;
    Some(FolderFile {
        id: execution.derived_id(number),
        execution_id: execution.id.clone(),
        directory,
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        content: Arc::new(FileContent::made(format!("{text}{}\n", execution.id), size)),
        created_at: execution.created_at.clone(),
    })
}

fn written(at: SystemTime) -> String {
    humantime::format_rfc3339_micros(at).to_string()
}

/// Returns an `AgentsFilesAgentFilesResponse`, with URLs that begin with `base`.
pub(super) fn listing(folder: &[FolderFile], execution: &SimulatedExecution, api: Api, base: &str) -> Value {
    let mut directories = Map::new();
    for directory in Directory::ALL {
        let files = folder.iter().filter(|file| file.directory == directory);
        let shown: Value = files.map(|file| file.agent_file(execution, api, base)).collect();
        directories.insert(directory.name().to_owned(), shown);
    }
    json!({ "directories": directories, "lastUpdated": execution.life.entered_at() })
}

impl FolderFile {
    /// Returns an `AgentsFilesAgentFile`.
    fn agent_file(&self, execution: &SimulatedExecution, api: Api, base: &str) -> Value {
        let mut file = self.common(execution, api, base, "files");
        if let Value::Object(members) = &mut file {
            let created_by = if self.directory == Directory::Uploads { "user" } else { "agent" };
            members.insert("directory".to_owned(), self.directory.name().into());
            members.insert("createdBy".to_owned(), created_by.into());
            members.insert("updatedAt".to_owned(), self.created_at.clone().into());
        }
        file
    }

    /// Returns an `AgentsFilesFile` of a file that was uploaded.
    pub(super) fn context_file(&self, execution: &SimulatedExecution, api: Api, base: &str, signed: String) -> Value {
        let mut file = self.common(execution, api, base, "context-files");
        if let Value::Object(members) = &mut file {
            let extension = self.name.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
            members.insert("fileExt".to_owned(), extension.into());
            members.insert("fileType".to_owned(), "document".into());
            members.insert("signedUrl".to_owned(), signed.into());
        }
        file
    }

    /// Returns what both have in common.
    fn common(&self, execution: &SimulatedExecution, api: Api, base: &str, kind: &str) -> Value {
        let Self { id, execution_id, name, .. } = self;
        let mut file = json!({
            "id": id,
            "executionId": execution_id,
            "agentId": execution.started_by(),
            "fileName": name,
            "filePath": format!("{}/{name}", self.directory.name()),
            "fileSize": self.content.size,
            "mimeType": self.media_type,
            "createdAt": self.created_at,
            "downloadUrl": format!("{base}/agents/v2/executions/{execution_id}/{kind}/{id}/download"),
        });
        if let (true, Value::Object(members)) = (api.has_workflows(), &mut file) {
            members.insert("workflowId".to_owned(), execution.started_by().into());
        }
        file
    }
}
