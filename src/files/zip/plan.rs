//! What goes into a zip, kept small: for a hundred thousand files it stays in memory until the last of them is sent,
//! because the directory at the zip's end names them all again.

use std::collections::{HashMap, HashSet};

use super::layout::{self, Entry};
use super::walk::{self, Leaf, Selected};
use super::{MOST_FILES, file_name};
use crate::app::State;
use crate::db::DbResult;
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::buffers::LEAST;
use crate::index::store;
use crate::rules::Sight;

/// Names together, in bytes, so that offsets into them fit into 32 bits, and a zip into its room.
const MOST_NAMES: usize = 24 * 1024 * 1024;
/// Paths asked for in one query.
const CHUNK: usize = 500;

/// The files of a zip, in their order.
#[derive(Debug)]
pub struct Plan {
    /// What their names are relative to; `None` is the root.
    base: Option<ItemPath>,
    /// Their paths below that, one after the other.
    names: String,
    files: Vec<Planned>,
    /// Names in the zip that are not those on the disk, by number of the file.
    renamed: HashMap<usize, String>,
}

#[derive(Debug, Clone, Copy)]
struct Planned {
    /// Where its name ends.
    end: u32,
    crc32: u32,
    knows_crc32: bool,
    size: u64,
    modified_at: i64,
}

impl Plan {
    /// All files in the folder that was asked for, and below.
    ///
    /// # Errors
    /// 404 for a folder that is not there or not to be seen; 413 for too many files.
    pub async fn of_folder(state: &State, sight: &Sight, folder: &str) -> AppResult<Self> {
        let folder = folder.trim_matches('/');
        if !folder.is_empty() {
            return Self::of_paths(state, sight, vec![folder.to_owned()]).await;
        }
        let root = Selected {
            folders: vec![None],
            ..Selected::default()
        };
        match sight.shows("") {
            true => Self::of(state, sight, root).await,
            false => Self::new(None, Vec::new()),
        }
    }

    /// These files, and all in these folders and below.
    ///
    /// # Errors
    /// 404 for any of them that is not there or not to be seen; 413 for too many files.
    pub async fn of_paths(state: &State, sight: &Sight, paths: Vec<String>) -> AppResult<Self> {
        if paths.len() > MOST_FILES {
            return Err(walk::too_many());
        }
        let paths: Option<Vec<ItemPath>> = paths.iter().map(|path| ItemPath::parse(path)).collect();
        let mut paths = paths.ok_or(AppError::NotFound)?;
        paths.sort_unstable();
        paths.dedup();
        let selected = walk::look_at(&state.files, sight, paths).await?;
        Self::of(state, sight, selected).await
    }

    async fn of(state: &State, sight: &Sight, selected: Selected) -> AppResult<Self> {
        let base = base(&selected);
        let mut leaves = selected.files;
        let mut seen = 0;
        for folder in outermost(selected.folders) {
            walk::below(&state.files, sight, folder, &mut leaves, &mut seen).await?;
        }
        leaves.sort_unstable();
        leaves.dedup_by(|one, other| one.path == other.path);
        let mut plan = Self::new(base, leaves)?;
        plan.learn_checksums(state).await?;
        Ok(plan)
    }

    fn new(base: Option<ItemPath>, leaves: Vec<Leaf>) -> AppResult<Self> {
        let cut = base.as_ref().map_or(0, |base| base.as_str().len() + 1);
        let relative = |leaf: &Leaf| leaf.path.get(cut..).unwrap_or_default().to_owned();
        let bytes: usize = leaves.iter().map(|leaf| leaf.path.len() - cut).sum();
        if bytes > MOST_NAMES || leaves.len() > MOST_FILES {
            return Err(walk::too_many());
        }
        let mut plan = Self {
            renamed: renamed(leaves.iter().map(relative)),
            base,
            names: String::with_capacity(bytes),
            files: Vec::with_capacity(leaves.len()),
        };
        for leaf in leaves {
            plan.names
                .push_str(leaf.path.get(cut..).unwrap_or_default());
            plan.files.push(Planned {
                end: u32::try_from(plan.names.len()).unwrap_or(u32::MAX),
                crc32: 0,
                knows_crc32: false,
                size: leaf.size,
                modified_at: leaf.modified_at,
            });
        }
        Ok(plan)
    }

    /// As far as the background has read these very contents.
    async fn learn_checksums(&mut self, state: &State) -> DbResult<()> {
        let mut conn = state.db.conn().await?;
        for first in (0..self.files.len()).step_by(CHUNK) {
            let numbers = first..self.files.len().min(first + CHUNK);
            let paths: Vec<String> = numbers.clone().map(|number| self.text(number)).collect();
            let known = store::crc32s(&mut conn, &paths).await?;
            for (number, path) in numbers.zip(&paths) {
                let Some((size, modified_at, crc32)) = known.get(path) else {
                    continue;
                };
                let Some(file) = self.files.get_mut(number) else {
                    continue;
                };
                let same =
                    Ok(file.size) == u64::try_from(*size) && file.modified_at == *modified_at;
                if same && let Ok(crc32) = u32::try_from(*crc32) {
                    (file.crc32, file.knows_crc32) = (crc32, true);
                }
            }
        }
        Ok(())
    }

    /// Whether nothing goes in.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// How many files go in.
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// Under which name it is saved.
    pub fn name(&self) -> String {
        file_name(self.base.as_ref())
    }

    /// Memory that it takes, in bytes.
    pub fn memory(&self) -> usize {
        let renamed: usize = self.renamed.values().map(|name| name.len() + 64).sum();
        self.names.capacity() + self.files.capacity() * size_of::<Planned>() + renamed
    }

    /// Length of the zip in bytes.
    pub fn length(&self) -> u64 {
        let (mut offset, mut central) = (0, 0);
        for number in 0..self.count() {
            let entry = self.entry(number);
            central += entry.central_length(offset);
            offset += entry.local_length();
        }
        offset + central + layout::end_length(self.count() as u64, central, offset)
    }

    /// What the headers say of the file with that number, from 0.
    pub fn entry(&self, number: usize) -> Entry<'_> {
        let file = self.planned(number);
        Entry {
            name: self
                .renamed
                .get(&number)
                .map_or_else(|| self.relative(number), String::as_str),
            size: file.size,
            modified_at: file.modified_at,
            crc32: file.crc32,
            // A small one is read before its header is written.
            describes_after: !file.knows_crc32 && file.size > LEAST as u64,
        }
    }

    /// Where the file with that number is found.
    pub fn path(&self, number: usize) -> Option<ItemPath> {
        ItemPath::parse(&self.text(number))
    }

    /// The checksum, when it was known from the beginning.
    pub fn known_crc32(&self, number: usize) -> Option<u32> {
        let file = self.planned(number);
        file.knows_crc32.then_some(file.crc32)
    }

    /// Writes down what came out when the file was read. How its header is written does not change by that.
    pub fn found_crc32(&mut self, number: usize, crc32: u32) {
        if let Some(file) = self.files.get_mut(number) {
            file.crc32 = crc32;
        }
    }

    fn planned(&self, number: usize) -> Planned {
        self.files.get(number).copied().unwrap_or(Planned {
            end: 0,
            crc32: 0,
            knows_crc32: false,
            size: 0,
            modified_at: 0,
        })
    }

    fn relative(&self, number: usize) -> &str {
        let begin = match number {
            0 => 0,
            _ => self.planned(number - 1).end,
        };
        let range = begin as usize..self.planned(number).end as usize;
        self.names.get(range).unwrap_or_default()
    }

    fn text(&self, number: usize) -> String {
        match &self.base {
            Some(base) => format!("{base}/{}", self.relative(number)),
            None => self.relative(number).to_owned(),
        }
    }
}

/// Without those that lie in another one, so that no folder is read twice.
fn outermost(folders: Vec<Option<ItemPath>>) -> Vec<Option<ItemPath>> {
    let all: HashSet<Option<ItemPath>> = folders.into_iter().collect();
    let lies_in_another = |folder: &Option<ItemPath>| {
        let mut inner = folder.clone();
        while let Some(path) = inner {
            inner = path.folder();
            if all.contains(&inner) {
                return true;
            }
        }
        false
    };
    let outermost = all.iter().filter(|folder| !lies_in_another(folder));
    outermost.cloned().collect()
}

/// The innermost folder that all of it lies in. For a single folder that is the folder itself.
fn base(selected: &Selected) -> Option<ItemPath> {
    if let ([], [folder]) = (&selected.files[..], &selected.folders[..]) {
        return folder.clone();
    }
    let files = selected.files.iter().map(|leaf| leaf.path.as_str());
    let folders = selected.folders.iter();
    let folders = folders.map(|folder| folder.as_ref().map_or("", ItemPath::as_str));
    let mut common: Option<&str> = None;
    for path in files.chain(folders) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        common = Some(match common {
            None => folder,
            Some(common) => shared(common, folder),
        });
    }
    ItemPath::parse(common?)
}

/// The names that both begin with.
fn shared<'a>(one: &'a str, other: &str) -> &'a str {
    let names = one.split('/').zip(other.split('/'));
    let equal = names.take_while(|(one, other)| one == other);
    let length: usize = equal.map(|(name, _)| name.len() + 1).sum();
    one.get(..length.saturating_sub(1)).unwrap_or_default()
}

/// New names for those with a backslash, which some programs take for the border of a folder, and so could be led to
/// write elsewhere than where they were told to.
fn renamed(names: impl Iterator<Item = String> + Clone) -> HashMap<usize, String> {
    let mut renamed = HashMap::new();
    if !names.clone().any(|name| name.contains('\\')) {
        return renamed;
    }
    let mut taken: HashSet<String> = names.clone().collect();
    for (number, name) in names.enumerate() {
        if !name.contains('\\') {
            continue;
        }
        let mut new = name.replace('\\', "_");
        while !taken.insert(new.clone()) {
            new.push('_');
        }
        renamed.insert(number, new);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(files: &[&str], folders: &[&str]) -> Selected {
        let leaf = |path: &&str| Leaf {
            path: (*path).to_owned(),
            size: 1,
            modified_at: 0,
        };
        Selected {
            files: files.iter().map(leaf).collect(),
            folders: folders.iter().map(|path| ItemPath::parse(path)).collect(),
        }
    }

    #[test]
    fn names_are_relative_to_what_all_of_it_lies_in() {
        for (files, folders, expected) in [
            (&["a/b/x.txt", "a/b/y.txt"][..], &[][..], "a/b"),
            (&["a/b/x.txt"], &["a/b/c"], "a/b"),
            (&["a/bc/x.txt", "a/b/y.txt"], &[], "a"),
            (&["a/x.txt", "b/x.txt"], &[], ""),
            (&["x.txt"], &["a/b"], ""),
            (&[], &["a/b"], "a/b"),
            (&[], &["a/b", "a/c"], "a"),
        ] {
            let found = base(&selected(files, folders));
            let found = found.as_ref().map_or("", ItemPath::as_str);
            assert_eq!(found, expected, "{files:?} {folders:?}");
        }
    }

    #[test]
    fn no_folder_is_read_twice() {
        let folders = ["a/b", "a", "a", "a b", "c/d/e", "c/d/f"].map(ItemPath::parse);
        let mut left = outermost(folders.into());
        left.sort_unstable();
        let left: Vec<&str> = left.iter().flatten().map(ItemPath::as_str).collect();
        assert_eq!(left, ["a", "a b", "c/d/e", "c/d/f"]);
        assert_eq!(outermost(vec![ItemPath::parse("a"), None]), [None]);
    }

    #[test]
    fn a_backslash_is_no_border_of_a_folder_and_no_two_files_have_one_name() {
        let names = ["..\\x", ".._x", "a/b\\c", "d"].map(str::to_owned);
        let renamed = renamed(names.into_iter());
        assert_eq!(renamed.len(), 2);
        assert_eq!(renamed[&0], ".._x_");
        assert_eq!(renamed[&2], "a/b_c");
    }
}
