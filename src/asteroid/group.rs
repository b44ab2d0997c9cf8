//! The groups of operations that an operator opens and closes as a whole.

/// A group of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Starts of executions.
    Start,
    /// Reads of one execution.
    Read,
    /// Listings of executions.
    List,
    /// Changes of an execution's status.
    Control,
    /// Messages to the agent of an execution.
    Message,
    /// Uploads, lists and downloads of files, and recordings.
    Files,
    /// Repetitions of executions.
    Rerun,
    /// Deletion of executions.
    Delete,
}

impl Group {
    /// Every group, in the order of their numbers.
    pub const ALL: [Group; 8] = [
        Group::Start,
        Group::Read,
        Group::List,
        Group::Control,
        Group::Message,
        Group::Files,
        Group::Rerun,
        Group::Delete,
    ];

    /// Returns its name in the configuration and in answers.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Group::Start => "start",
            Group::Read => "read",
            Group::List => "list",
            Group::Control => "control",
            Group::Message => "message",
            Group::Files => "files",
            Group::Rerun => "rerun",
            Group::Delete => "delete",
        }
    }

    /// Returns whether it is open unless the configuration says otherwise. Deletion is not: an operator may need what it hides.
    /// Neither is a rerun: it carries the tags that its original got, and no others.
    #[must_use]
    pub const fn is_open_by_default(self) -> bool {
        match self {
            Group::Start | Group::Read | Group::List | Group::Control | Group::Message | Group::Files => true,
            Group::Rerun | Group::Delete => false,
        }
    }
}

/// The groups that are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenGroups(u8);

impl Default for OpenGroups {
    fn default() -> OpenGroups {
        let open = |groups: OpenGroups, group: Group| groups.with(group, group.is_open_by_default());
        Group::ALL.into_iter().fold(OpenGroups(0), open)
    }
}

impl OpenGroups {
    /// Returns the groups with one of them opened or closed.
    #[must_use]
    pub const fn with(self, group: Group, is_open: bool) -> OpenGroups {
        let bit = 1 << group as u8;
        OpenGroups(if is_open { self.0 | bit } else { self.0 & !bit })
    }

    /// Returns whether a group is open.
    #[must_use]
    pub const fn contains(self, group: Group) -> bool {
        self.0 & (1 << group as u8) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_groups_but_deletion_and_reruns_are_open_and_each_is_opened_and_closed_alone() {
        let open = OpenGroups::default();
        for (number, group) in Group::ALL.into_iter().enumerate() {
            assert_eq!(group as usize, number, "{}", group.code());
            assert_eq!(open.contains(group), !matches!(group, Group::Delete | Group::Rerun), "{}", group.code());
            for is_open in [true, false] {
                let changed = open.with(group, is_open);
                assert_eq!(changed.contains(group), is_open);
                assert!(
                    Group::ALL
                        .into_iter()
                        .all(|other| other == group || changed.contains(other) == open.contains(other))
                );
            }
        }
    }
}
