//! A disk that hangs until it is told to go on: a file system of this process, mounted for a test. Names and sizes are
//! told at once, as a network share does that has them in memory; reading, closing and making folders wait.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation,
    INodeNo, KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, Request,
};

/// Size of its files, bytes.
pub const SIZE: usize = 300_000;
const KEPT: Duration = Duration::from_secs(1);
/// Files have the numbers from here on.
const FIRST: u64 = 2;

/// The mounted disk, with files `0.bin`, `1.bin`, and so on.
pub struct SlowDisk {
    valve: Arc<Valve>,
    place: PathBuf,
    _session: BackgroundSession,
}

/// Answers that are held back; `None` when nothing is held back any more.
struct Valve(Mutex<Option<Vec<Held>>>);

struct Held {
    is_read: bool,
    answer: Box<dyn FnOnce() + Send>,
}

impl SlowDisk {
    /// Mounts it, hanging; or says why that cannot be done.
    pub fn mount(place: &Path, files: u64) -> Result<Self, String> {
        let valve = Arc::new(Valve(Mutex::new(Some(Vec::new()))));
        let disk = Disk {
            files,
            valve: valve.clone(),
        };
        let session = fuser::spawn_mount(disk, place, &Config::default());
        Ok(Self {
            valve,
            place: place.to_owned(),
            _session: session.map_err(|error| error.to_string())?,
        })
    }

    /// How many reads it holds back.
    pub fn held_reads(&self) -> usize {
        let held = self.valve.0.lock().unwrap();
        let held = held.iter().flatten();
        held.filter(|held| held.is_read).count()
    }

    /// How many answers of any kind it holds back.
    pub fn held(&self) -> usize {
        self.valve.0.lock().unwrap().as_ref().map_or(0, Vec::len)
    }

    /// Answers what it held back, and everything from now on at once.
    pub fn go_on(&self) {
        let held = self.valve.0.lock().unwrap().take();
        for held in held.into_iter().flatten() {
            (held.answer)();
        }
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        self.go_on();
        // Somebody may still hold a file of it open, and the folder is to go with the test.
        let unmounted = Command::new("umount").arg("-l").arg(&self.place).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

impl Valve {
    fn pass(&self, is_read: bool, answer: impl FnOnce() + Send + 'static) {
        match &mut *self.0.lock().unwrap() {
            Some(held) => held.push(Held {
                is_read,
                answer: Box::new(answer),
            }),
            None => answer(),
        }
    }
}

/// The content of a file.
pub fn content(number: u64) -> Vec<u8> {
    let byte = |at: usize| (at / 7) as u8 ^ number as u8;
    (0..SIZE).map(byte).collect()
}

struct Disk {
    files: u64,
    valve: Arc<Valve>,
}

impl Disk {
    fn attributes(&self, inode: u64) -> Option<FileAttr> {
        let is_root = inode == u64::from(INodeNo::ROOT);
        let exists = is_root || (FIRST..FIRST + self.files).contains(&inode);
        exists.then_some(FileAttr {
            ino: INodeNo(inode),
            size: if is_root { 0 } else { SIZE as u64 },
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: match is_root {
                true => FileType::Directory,
                false => FileType::RegularFile,
            },
            perm: 0o755,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        })
    }
}

impl Filesystem for Disk {
    /// The kernel would have no more than a dozen reads under way, and keep the others to itself.
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let refused = |most| io::Error::other(format!("{most} reads at once at most"));
        config.set_max_background(1_000).map(drop).map_err(refused)
    }

    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let number = name.to_str().and_then(|name| name.strip_suffix(".bin"));
        let number = number.and_then(|number| number.parse::<u64>().ok());
        match number.and_then(|number| self.attributes(FIRST + number)) {
            Some(attributes) => reply.entry(&KEPT, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode.into()) {
            Some(attributes) => reply.attr(&KEPT, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let number = u64::from(inode) - FIRST;
        self.valve.pass(true, move || {
            let first = usize::try_from(offset).unwrap().min(SIZE);
            let end = (first + size as usize).min(SIZE);
            reply.data(&content(number)[first..end]);
        });
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.valve.pass(false, move || reply.ok());
    }

    fn mkdir(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        self.valve.pass(false, move || reply.error(Errno::EROFS));
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        for number in offset..self.files {
            let kind = FileType::RegularFile;
            let name = format!("{number}.bin");
            if reply.add(INodeNo(FIRST + number), number + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
