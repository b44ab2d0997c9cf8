//! The operations on files: uploads, lists, and redirects to their bytes. Their refusals are plain text.

use std::time::Instant;

use hyper::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{ApiAnswer, ApiRequest, Content};
use super::execution::ORGANIZATION;
use super::file::{FileOwner, NewFile};
use super::folder::{self, Directory};
use super::operation::{Call, Operation};
use super::refusal::Refusal;
use super::{Simulator, storage};

impl Simulator {
    /// Returns the answer to an operation on files.
    pub(super) fn answer_files(&self, call: Call<'_>, request: &ApiRequest<'_>) -> ApiAnswer {
        let answer = match call.operation {
            Operation::Stage => self.stage(call.id, request),
            Operation::Upload => self.upload(call.id, request),
            Operation::ContextFiles => self.context_files(call.id, request.base),
            Operation::Download => self.download(call, request.base),
            _ => self.list_files(call.id, request.base),
        };
        answer.unwrap_or_else(|Refusal(status, message)| ApiAnswer::new(status, Content::Text(message.into())))
    }

    fn stage(&self, organization: &str, request: &ApiRequest<'_>) -> Result<ApiAnswer, Refusal> {
        let mut queries = form_urlencoded::parse(request.query().as_bytes());
        let query = queries.find(|(name, _)| name == "organizationId").map(|(_, value)| value.into_owned());
        let given = Some(organization.to_owned()).filter(|id| !id.is_empty()).or(query);
        let mut state = self.lock();
        match given {
            Some(id) if Uuid::parse_str(&id).is_err() => return Err(Refusal::bad("organizationId must be a uuid")),
            Some(id) if id != ORGANIZATION => {
                return Err(Refusal::new(StatusCode::FORBIDDEN, "not a member of the organization"));
            }
            None if state.listing.needs_organization => {
                return Err(Refusal::bad("organizationId is required: the API key spans organisations"));
            }
            Some(_) | None => {}
        }
        let mut shown = Vec::new();
        for file in files(request)? {
            let name = file.name.clone();
            let owner = FileOwner::Staged(Instant::now());
            let id = if request.is_carried_out { state.files.add(file, owner) } else { Uuid::new_v4().to_string() };
            shown.push(json!({ "id": id, "name": name }));
        }
        Ok(ApiAnswer::json(StatusCode::OK, json!({ "tempFiles": shown })))
    }

    fn upload(&self, id: &str, request: &ApiRequest<'_>) -> Result<ApiAnswer, Refusal> {
        let mut state = self.lock();
        if state.find(id)?.life.status.is_terminal() {
            return Err(Refusal::bad("the execution has ended"));
        }
        for file in files(request)?.into_iter().filter(|_| request.is_carried_out) {
            state.files.add(file, FileOwner::Execution(id.to_owned()));
        }
        Ok(ApiAnswer::new(StatusCode::OK, Content::Text("Files uploaded.".into())))
    }

    fn context_files(&self, id: &str, base: &str) -> Result<ApiAnswer, Refusal> {
        let mut state = self.lock();
        let folder = state.folder(id)?;
        let execution = state.find(id)?.clone();
        let uploads = folder.iter().filter(|file| file.directory == Directory::Uploads);
        let shown: Value = uploads
            .map(|file| {
                let signed = storage::sign(&state.files, base, id, &file.id);
                file.context_file(&execution, self.api, base, signed)
            })
            .collect();
        Ok(ApiAnswer::json(StatusCode::OK, shown))
    }

    fn list_files(&self, id: &str, base: &str) -> Result<ApiAnswer, Refusal> {
        let mut state = self.lock();
        let folder = state.folder(id)?;
        let listing = folder::listing(&folder, state.find(id)?, self.api, base);
        Ok(ApiAnswer::json(StatusCode::OK, listing))
    }

    /// Redirects to the bytes of a file. Of the four paths, two know the files of one directory alone.
    fn download(&self, call: Call<'_>, base: &str) -> Result<ApiAnswer, Refusal> {
        let mut state = self.lock();
        let folder = state.folder(call.id)?;
        let is_there = |directory: Directory| match call.collection {
            "context-files" => directory == Directory::Uploads,
            "debug-files" => directory == Directory::Debug,
            _ => true,
        };
        let found = folder.iter().find(|file| file.id == call.inner_id && is_there(file.directory));
        let file = found.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "file not found"))?;
        let location = storage::sign(&state.files, base, &file.execution_id, &file.id);
        Ok(ApiAnswer::redirect(StatusCode::SEE_OTHER, location))
    }

    /// Returns the signed URL of an execution's recording.
    pub(super) fn recording(&self, id: &str, base: &str) -> Result<String, Refusal> {
        let mut state = self.lock();
        state.find(id)?;
        Ok(storage::sign(&state.files, base, id, storage::RECORDING))
    }
}

fn files(request: &ApiRequest<'_>) -> Result<Vec<NewFile>, Refusal> {
    request.files.cloned().unwrap_or_else(|| Err(Refusal::bad("the upload was not read")))
}
