//! The system calls of a worker (seccomp). Whatever is not listed ends the process.
//!
//! There is no `socket`, no `execve`, no `fork`, no `ptrace`, no `mount`. Memory can be made
//! executable, because the sandbox maps machine code that this host compiled; what runs there is
//! confined by WebAssembly first and by this list second.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use super::{JailError, Step as _};

type Rules = BTreeMap<libc::c_long, Vec<SeccompRule>>;

/// Calls that are allowed whatever their arguments.
const ALLOWED: &[libc::c_long] = &[
    // files: those that came with the job, and the scratch directory
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_lseek,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_fchmod,
    // memory
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_membarrier,
    // threads; `clone` itself is below
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // signals: traps of WebAssembly code
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // time and chance
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_times,
    // waiting, inside the process
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    // the job socket
    libc::SYS_recvmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
];

/// Calls that the C library and others make on x86-64 in their old forms.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_poll,
    libc::SYS_epoll_wait,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[libc::c_long] = &[];

/// Calls that libraries try and can do without: they fail with `ENOSYS`.
const ABSENT: &[libc::c_long] = &[
    // The C library falls back to `clone`, whose flags a filter can read.
    libc::SYS_clone3,
    // Probes for terminals and file systems.
    libc::SYS_ioctl,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_readlinkat,
    libc::SYS_faccessat2,
    libc::SYS_openat2,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getppid,
    // Placement of memory and threads, which is the kernel's business here.
    libc::SYS_getcpu,
    libc::SYS_mbind,
    libc::SYS_set_mempolicy,
    libc::SYS_get_mempolicy,
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_setpriority,
    // Shared memory that no limit of this process counts.
    libc::SYS_memfd_create,
    libc::SYS_mseal,
];
#[cfg(target_arch = "x86_64")]
const ABSENT_HERE: &[libc::c_long] = &[libc::SYS_readlink];
#[cfg(not(target_arch = "x86_64"))]
const ABSENT_HERE: &[libc::c_long] = &[];

/// Installs the filter on this thread and all that it starts.
pub(super) fn filter() -> Result<(), JailError> {
    const STEP: &str = "install a system call filter";
    // Two filters, because one has one answer besides its default. The kernel takes the stricter.
    let absent = absent_rules();
    let mut allowed = allowed_rules()?;
    allowed.extend(absent.keys().map(|call| (*call, Vec::new())));
    let refuse = u32::try_from(libc::ENOSYS).step(STEP)?;
    for program in [
        compile(absent, SeccompAction::Allow, SeccompAction::Errno(refuse))?,
        compile(allowed, SeccompAction::KillProcess, SeccompAction::Allow)?,
    ] {
        apply_filter(&program).step(STEP)?;
    }
    Ok(())
}

fn compile(
    rules: Rules,
    otherwise: SeccompAction,
    listed: SeccompAction,
) -> Result<BpfProgram, JailError> {
    const STEP: &str = "compile a system call filter";
    let architecture = TargetArch::try_from(std::env::consts::ARCH).step(STEP)?;
    let filter = SeccompFilter::new(rules, otherwise, listed, architecture).step(STEP)?;
    filter.try_into().step(STEP)
}

fn absent_rules() -> Rules {
    ABSENT.iter().chain(ABSENT_HERE).map(|call| (*call, Vec::new())).collect()
}

fn allowed_rules() -> Result<Rules, JailError> {
    const STEP: &str = "write system call rules";
    let mut rules: Rules =
        ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    let number = |value: libc::c_int| u64::try_from(value).unwrap_or_default();
    let new_namespaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP;
    let mut add = |call, alternatives: &[(u8, SeccompCmpOp, u64)]| {
        let alternatives: Result<Vec<_>, _> = alternatives
            .iter()
            .map(|(argument, operator, value)| {
                SeccompCondition::new(*argument, SeccompCmpArgLen::Qword, operator.clone(), *value)
                    .and_then(|condition| SeccompRule::new(vec![condition]))
            })
            .collect();
        rules.insert(call, alternatives.step(STEP)?);
        Ok::<(), JailError>(())
    };
    // Threads of this process, no processes.
    let thread_mask = number(libc::CLONE_THREAD) | number(new_namespaces);
    let thread = number(libc::CLONE_THREAD);
    add(libc::SYS_clone, &[(0, SeccompCmpOp::MaskedEq(thread_mask), thread)])?;
    // Signals to itself, which is process 1 of its namespace: `abort` sends one.
    add(libc::SYS_tgkill, &[(0, SeccompCmpOp::Eq, 1)])?;
    // Reading limits, not setting them.
    add(libc::SYS_prlimit64, &[(2, SeccompCmpOp::Eq, 0)])?;
    // On the connected socket only: no address.
    add(libc::SYS_sendto, &[(4, SeccompCmpOp::Eq, 0)])?;
    let prctls = [libc::PR_SET_NAME, libc::PR_SET_VMA];
    add(libc::SYS_prctl, &prctls.map(|operation| (0, SeccompCmpOp::Eq, number(operation))))?;
    let fcntls = [
        libc::F_GETFD,
        libc::F_SETFD,
        libc::F_GETFL,
        libc::F_SETFL,
        libc::F_DUPFD,
        libc::F_DUPFD_CLOEXEC,
    ];
    add(libc::SYS_fcntl, &fcntls.map(|operation| (1, SeccompCmpOp::Eq, number(operation))))?;
    Ok(rules)
}
