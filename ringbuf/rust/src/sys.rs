//! The few calls into the kernel that std does not have. Every program that uses std is linked with the C library
//! already; these are its functions.

use std::fs::File;
use std::io::Read;
use std::os::raw::{c_int, c_long, c_void};
use std::os::unix::io::AsRawFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

#[repr(C)]
struct Timespec {
    sec: i64,
    nsec: i64,
}

extern "C" {
    fn mmap(at: *mut c_void, len: usize, prot: c_int, flags: c_int, fd: c_int, off: i64) -> *mut c_void;
    fn munmap(at: *mut c_void, len: usize) -> c_int;
    fn clock_gettime(clock: c_int, ts: *mut Timespec) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
}

const PROT_READ: c_int = 1;
const MAP_SHARED: c_int = 1;
const MAP_POPULATE: c_int = 0x8000;
const CLOCK_MONOTONIC: c_int = 1;
const FUTEX_WAIT: c_int = 0; // shared between processes: without the private flag
#[cfg(target_arch = "x86_64")]
const SYS_FUTEX: c_long = 202;
#[cfg(not(target_arch = "x86_64"))]
const SYS_FUTEX: c_long = 98; // the generic table: aarch64, riscv64

/// For opening: a pipe of that name must not block.
pub const O_NONBLOCK: i32 = 0o4000;

/// A file in memory, read-only. Words of it may be changed by another process at any time.
pub struct Mapping {
    base: *const u8,
    len: usize,
}

// SAFETY: the memory is only read, by atomic loads, and lives as long as the Mapping.
unsafe impl Send for Mapping {}
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps all of a file of `len` bytes; with `populate` its pages are mapped at once, so that no later access faults.
    pub fn new(file: &File, len: usize, populate: bool) -> std::io::Result<Mapping> {
        let flags = if populate { MAP_SHARED | MAP_POPULATE } else { MAP_SHARED };
        // SAFETY: a new mapping anywhere, of a descriptor that is open.
        let p = unsafe { mmap(std::ptr::null_mut(), len, PROT_READ, flags, file.as_raw_fd(), 0) };
        if p as isize == -1 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Mapping { base: p as *const u8, len })
    }

    /// Bytes that never change after the file got its name.
    pub fn fixed(&self, off: usize, len: usize) -> &[u8] {
        assert!(off + len <= self.len);
        // SAFETY: in range.
        unsafe { std::slice::from_raw_parts(self.base.add(off), len) }
    }

    /// The word at `off`, a multiple of 8 that the caller has checked to lie in the file.
    #[inline(always)]
    pub fn word(&self, off: usize) -> &AtomicU64 {
        debug_assert!(off % 8 == 0 && off + 8 <= self.len);
        // SAFETY: in range and aligned (the mapping begins on a page), and only read.
        unsafe { &*(self.base.add(off) as *const AtomicU64) }
    }

    /// The half word at `off`, likewise.
    #[inline(always)]
    pub fn half(&self, off: usize) -> &AtomicU32 {
        debug_assert!(off % 4 == 0 && off + 4 <= self.len);
        // SAFETY: as above.
        unsafe { &*(self.base.add(off) as *const AtomicU32) }
    }

    #[inline(always)]
    pub fn acquire(&self, off: usize) -> u64 {
        self.word(off).load(Ordering::Acquire)
    }

    #[inline(always)]
    pub fn relaxed(&self, off: usize) -> u64 {
        self.word(off).load(Ordering::Relaxed)
    }

    /// Copies `bytes` (a multiple of 8) from `off` to `dst`, each word by one relaxed load.
    ///
    /// # Safety
    ///
    /// `dst` is valid for that many bytes.
    #[inline(always)]
    pub unsafe fn copy(&self, off: usize, dst: *mut u8, bytes: usize) {
        let mut i = 0;
        while i < bytes {
            (dst.add(i) as *mut u64).write_unaligned(self.relaxed(off + i));
            i += 8;
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by new, and nothing borrows from it any more.
        unsafe { munmap(self.base as *mut c_void, self.len) };
    }
}

/// CLOCK_MONOTONIC, the clock of heartbeats: ns.
pub fn monotonic_ns() -> u64 {
    let mut ts = Timespec { sec: 0, nsec: 0 };
    // SAFETY: ts is one.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &mut ts) };
    ts.sec as u64 * 1_000_000_000 + ts.nsec as u64
}

/// Sleeps while the word is `seen`, until it is woken or `timeout_ns` are over. Waiting works on a read-only mapping.
pub fn futex_wait(word: &AtomicU32, seen: u32, timeout_ns: u64) {
    let ts = Timespec { sec: (timeout_ns / 1_000_000_000) as i64, nsec: (timeout_ns % 1_000_000_000) as i64 };
    // SAFETY: the word and ts live during the call.
    unsafe {
        syscall(SYS_FUTEX, word as *const AtomicU32, FUTEX_WAIT, seen, &ts as *const Timespec, 0usize, 0usize);
    }
}

/// The kernel's boot id; zeros where /proc does not say.
pub fn boot_id() -> [u8; 16] {
    let (mut text, mut id, mut digits) = ([0u8; 64], [0u8; 16], 0);
    let n = File::open("/proc/sys/kernel/random/boot_id").and_then(|mut f| f.read(&mut text)).unwrap_or(0);
    for d in text[..n].iter().filter_map(|c| (*c as char).to_digit(16)).take(32) {
        id[digits / 2] = id[digits / 2] << 4 | d as u8;
        digits += 1;
    }
    id
}
