//! Notifications of the system about changes below FILES_DIR. Network shares send none and systems have limits, so
//! nothing relies on them: they only make the index faster than the next scan.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Config, ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::files::ItemPath;

/// Notices that wait; more than that, and everything is read instead.
const CAPACITY: usize = 10_000;

/// The watched folders.
pub struct Watch {
    watcher: RecommendedWatcher,
    root: PathBuf,
    watched: BTreeSet<String>,
    is_full: bool,
}

/// Where notices come out.
pub struct Notices {
    receiver: Receiver<ItemPath>,
    missed: Arc<AtomicBool>,
}

impl Watch {
    /// Watches nothing yet. `None`, said in the log, where the system does not notify.
    pub fn start(root: &Path) -> Option<(Self, Notices)> {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        let missed = Arc::new(AtomicBool::new(false));
        let (told, place) = (missed.clone(), root.to_owned());
        let handler = move |event| notice(event, &place, &sender, &told);
        // Links are not followed: what they lead to is watched under its own path, if it is inside.
        let config = Config::default().with_follow_symlinks(false);
        match RecommendedWatcher::new(handler, config) {
            Ok(watcher) => {
                let watch = Self {
                    watcher,
                    root: root.to_owned(),
                    watched: BTreeSet::new(),
                    is_full: false,
                };
                Some((watch, Notices { receiver, missed }))
            }
            Err(error) => {
                log::warn!(
                    "changes in FILES_DIR are noticed at the next scan only, since the system does not notify: {error}"
                );
                None
            }
        }
    }

    /// Watches a folder, without what is below it.
    pub fn add(&mut self, folder: Option<&ItemPath>) {
        let name = folder.map_or("", ItemPath::as_str);
        if self.is_full || self.watched.contains(name) {
            return;
        }
        match self
            .watcher
            .watch(&self.root.join(name), RecursiveMode::NonRecursive)
        {
            Ok(()) => {
                self.watched.insert(name.to_owned());
            }
            Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => {
                self.is_full = true;
                log::warn!(
                    "the system watches no more than {} folders of FILES_DIR, so changes in the others are noticed at the \
                     next scan only; on Linux, raise fs.inotify.max_user_watches",
                    self.watched.len()
                );
            }
            // Gone already; its parent's notice tells.
            Err(error) => log::debug!("the folder {name:?} is not watched: {error}"),
        }
    }

    /// Watches a folder and what was below it no longer: it is gone, or has another path.
    pub fn remove(&mut self, folder: &ItemPath) {
        let below = format!("{folder}/");
        let gone: Vec<String> = self
            .watched
            .range(folder.to_string()..)
            .take_while(|watched| watched.starts_with(folder.as_str()))
            .filter(|watched| *watched == folder.as_str() || watched.starts_with(&below))
            .cloned()
            .collect();
        for name in gone {
            // The system may have dropped it with the folder.
            let _ = self.watcher.unwatch(&self.root.join(&name));
            self.watched.remove(&name);
        }
    }
}

impl Notices {
    /// The next path that changed; `None` when some were missed, and everything has to be read.
    pub async fn next(&mut self) -> Option<ItemPath> {
        let path = self.receiver.recv().await?;
        (!self.missed.load(Ordering::SeqCst)).then_some(path)
    }

    /// What else is there already.
    pub fn rest(&mut self) -> Vec<ItemPath> {
        let mut paths = Vec::new();
        while let Ok(path) = self.receiver.try_recv() {
            paths.push(path);
        }
        paths
    }

    /// Whether some were missed.
    pub fn missed(&self) -> bool {
        self.missed.load(Ordering::SeqCst)
    }
}

fn notice(
    event: notify::Result<Event>,
    root: &Path,
    sender: &Sender<ItemPath>,
    missed: &AtomicBool,
) {
    let event = match event {
        Ok(event) if event.need_rescan() => return missed.store(true, Ordering::SeqCst),
        Ok(event) => event,
        Err(error) => return log::debug!("a notice was lost: {error}"),
    };
    let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
    if event.kind.is_access() && event.kind != written {
        return;
    }
    for path in event.paths {
        let inside = path.strip_prefix(root).ok();
        // Hidden names are not served, and the portal's own unfinished files are among them.
        if let Some(path) = inside.and_then(ItemPath::from_path)
            && sender.try_send(path).is_err()
        {
            missed.store(true, Ordering::SeqCst);
        }
    }
}
