//! The paths of operations: a match over their segments.

use super::{Id, IdName, Operation, Part};

/// More segments than the path of any operation has.
const MAX_SEGMENTS: usize = 8;

/// The operations that have a path, and the ids in the path.
pub(super) struct Match<'a> {
    pub(super) operations: &'static [Operation],
    pub(super) ids: [Option<Id<'a>>; 2],
    /// The path below the mount, without the first slash.
    pub(super) path: &'a str,
}

/// Returns the operations that have a path.
pub(super) fn find(sent: &str) -> Option<Match<'_>> {
    let (part, path) = below_mount(sent)?;
    let mut segments = [""; MAX_SEGMENTS];
    let mut count = 0;
    for segment in path.split('/') {
        *segments.get_mut(count)? = segment;
        count += 1;
    }
    let segments = segments.get(..count)?;
    let (operations, ids) = match part {
        Part::Agents => operations_at(segments)?,
        Part::V1 => v1_operations_at(segments)?,
    };
    Some(Match { operations, ids, path })
}

type Found<'a> = (&'static [Operation], [Option<Id<'a>>; 2]);

fn operations_at<'a>(segments: &[&'a str]) -> Option<Found<'a>> {
    use Operation as Is;
    Some(match *segments {
        ["agents", agent, "execute"] => (&[Is::AgentExecute], one(IdName::Agent, agent)),
        ["agents", agent, "execute", "sync"] => (&[Is::AgentExecuteSync], one(IdName::Agent, agent)),
        ["agents", agent, "workflows", version, "execute"] => {
            (&[Is::AgentVersionExecute], two((IdName::Agent, agent), (IdName::Workflow, version)))
        }
        ["workflows", workflow, "execute"] => (&[Is::WorkflowExecute], one(IdName::Workflow, workflow)),
        ["workflows", workflow, "execute", "sync"] => (&[Is::WorkflowExecuteSync], one(IdName::Workflow, workflow)),
        ["workflows", workflow, "versions", version, "execute"] => {
            (&[Is::WorkflowVersionExecute], two((IdName::Workflow, workflow), (IdName::Version, version)))
        }
        ["executions"] => (&[Is::ExecutionList], [None; 2]),
        ["executions", id] => (&[Is::ExecutionGet, Is::ExecutionDelete], one(IdName::Execution, id)),
        ["executions", id, action] => (of_execution(action)?, one(IdName::Execution, id)),
        ["executions", id, directory, file, "download"] => {
            (download(directory)?, two((IdName::Execution, id), (IdName::File, file)))
        }
        ["temp-files"] => (&[Is::TempFilesUpload], [None; 2]),
        ["temp-files", organization] => (&[Is::TempFilesStage], one(IdName::Organization, organization)),
        _ => return None,
    })
}

fn of_execution(action: &str) -> Option<&'static [Operation]> {
    use Operation as Is;
    Some(match action {
        "rerun" => &[Is::ExecutionRerun],
        "sync" => &[Is::ExecutionSync],
        "activities" => &[Is::ExecutionActivities],
        "status" => &[Is::ExecutionStatus],
        "cancel" => &[Is::ExecutionCancel],
        "pause" => &[Is::ExecutionPause],
        "resume" => &[Is::ExecutionResume],
        "user-messages" => &[Is::ExecutionMessage],
        "context-files" => &[Is::ContextFiles, Is::ContextFilesUpload],
        "files" => &[Is::ExecutionFiles],
        "agent-files" => &[Is::AgentFiles],
        "recording" => &[Is::ExecutionRecording],
        _ => return None,
    })
}

fn download(directory: &str) -> Option<&'static [Operation]> {
    use Operation as Is;
    Some(match directory {
        "context-files" => &[Is::ContextFileDownload],
        "files" => &[Is::ExecutionFileDownload],
        "debug-files" => &[Is::DebugFileDownload],
        "agent-files" => &[Is::AgentFileDownload],
        _ => return None,
    })
}

fn v1_operations_at<'a>(segments: &[&'a str]) -> Option<Found<'a>> {
    use Operation as Is;
    Some(match *segments {
        ["execution", id, "status"] => (&[Is::V1Status], one(IdName::Execution, id)),
        ["execution", id, "result"] => (&[Is::V1Result], one(IdName::Execution, id)),
        ["execution", id, "browser_session", "recording"] => (&[Is::V1Recording], one(IdName::Execution, id)),
        _ => return None,
    })
}

fn one(name: IdName, text: &str) -> [Option<Id<'_>>; 2] {
    [Some(Id { name, text }), None]
}

fn two<'a>(first: (IdName, &'a str), second: (IdName, &'a str)) -> [Option<Id<'a>>; 2] {
    [first, second].map(|(name, text)| Some(Id { name, text }))
}

/// Returns the part of the API that a path belongs to, and the path below its mount: `/` or `/agents/v2/`, the bases of the two
/// eras of the SDK, or `/api/v1/`.
///
/// Either of the first two may be followed by a second slash: the SDK of the specification's era adds one if its base URL ends
/// in one.
fn below_mount(path: &str) -> Option<(Part, &str)> {
    if let Some(path) = path.strip_prefix("/api/v1/") {
        return Some((Part::V1, path));
    }
    let path = path.strip_prefix("/agents/v2").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let path = path.strip_prefix('/')?;
    Some((Part::Agents, path.strip_prefix('/').unwrap_or(path)))
}
