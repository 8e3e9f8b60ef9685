//! A wall clock that is off by `CLOCK_SKEW` seconds: preloaded into a process, it overrides the C library's functions.
//!
//! Monotonic clocks, such as the one for leases, stay correct: no administrator can set them.

#[repr(C)]
pub struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

unsafe extern "C" {
    fn syscall(number: i64, ...) -> i64;
}

#[cfg(target_arch = "x86_64")]
const CLOCK_GETTIME: i64 = 228;
#[cfg(target_arch = "aarch64")]
const CLOCK_GETTIME: i64 = 113;
const REALTIME: i32 = 0;

/// # Safety
/// As in C: `time` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: i32, time: *mut Timespec) -> i32 {
    let answer = unsafe { syscall(CLOCK_GETTIME, clock, time) };
    if answer == 0 && clock == REALTIME {
        let skew = std::env::var("CLOCK_SKEW").ok().and_then(|skew| skew.parse::<i64>().ok()).unwrap_or_default();
        unsafe { (*time).seconds += skew };
    }
    if answer == 0 { 0 } else { -1 }
}
