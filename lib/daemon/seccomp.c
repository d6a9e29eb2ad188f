/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp.c - which system calls a process can make
 *
 * A list of what the library needs, by the flags of the sandbox. Three answers
 * to the rest: what no server ever needs and an attacker wants kills the process at once;
 * what a library may try and can do without gets an error; anything else is a
 * gap in this list or an attack, so the process tells master the number and dies
 * by SIGSYS, which master logs.
 *
 * Without Landlock (old kernels) the errors for opening to write still hold for every
 * program that has no directory to write to.
 *
 * A program that executes others (pipe) hands its filter on to them, and what they
 * need nobody knows: there only the deadly calls are refused.
 *
 * Runs in: every daemon, once, at start.
 */
#include "daemon/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "base/mem.h"

/* Conditions of rows, beside enum sandbox_flags. */
enum {
    ALWAYS = 0,
    WRITES_FILES = 1 << 16,     /* has directories to write to, or all files */
    SANITIZED = 1 << 17,        /* built with AddressSanitizer */
};

struct call_row {
    int call;
    unsigned any_of;            /* ALWAYS, or one of these flags must be set */
};

#define S(name) SCMP_SYS(name)

static const struct call_row allowed[] = {
    /* memory, threads, time */
    { S(brk), ALWAYS }, { S(mmap), ALWAYS }, { S(munmap), ALWAYS }, { S(mremap), ALWAYS },
    { S(mprotect), ALWAYS }, { S(madvise), ALWAYS }, { S(futex), ALWAYS }, { S(rseq), ALWAYS },
    { S(set_robust_list), ALWAYS }, { S(set_tid_address), ALWAYS }, { S(membarrier), ALWAYS },
    { S(sched_yield), ALWAYS }, { S(sched_getaffinity), ALWAYS }, { S(gettid), ALWAYS },
    { S(arch_prctl), ALWAYS }, { S(getrandom), ALWAYS }, { S(memfd_create), ALWAYS }, { S(restart_syscall), ALWAYS },
    { S(clock_gettime), ALWAYS }, { S(clock_getres), ALWAYS }, { S(clock_nanosleep), ALWAYS },
    { S(nanosleep), ALWAYS }, { S(setitimer), ALWAYS }, { S(gettimeofday), ALWAYS }, { S(time), ALWAYS }, { S(times), ALWAYS },
    { S(exit), ALWAYS }, { S(exit_group), ALWAYS }, { S(tgkill), ALWAYS }, { S(getrusage), ALWAYS },
    { S(rt_sigaction), ALWAYS }, { S(rt_sigprocmask), ALWAYS }, { S(rt_sigreturn), ALWAYS },
    { S(sigaltstack), ALWAYS }, { S(uname), ALWAYS }, { S(sysinfo), ALWAYS }, { S(umask), ALWAYS },
    { S(prlimit64), ALWAYS }, { S(getrlimit), ALWAYS }, { S(getpriority), ALWAYS },
    { S(getpid), ALWAYS }, { S(getppid), ALWAYS }, { S(getuid), ALWAYS }, { S(geteuid), ALWAYS },
    { S(getgid), ALWAYS }, { S(getegid), ALWAYS }, { S(getresuid), ALWAYS }, { S(getresgid), ALWAYS },
    { S(getgroups), ALWAYS }, { S(capget), ALWAYS },
    /* descriptors */
    { S(read), ALWAYS }, { S(readv), ALWAYS }, { S(pread64), ALWAYS }, { S(preadv), ALWAYS },
    { S(write), ALWAYS }, { S(writev), ALWAYS }, { S(pwrite64), ALWAYS }, { S(pwritev), ALWAYS },
    { S(pwritev2), ALWAYS },
    { S(lseek), ALWAYS }, { S(close), ALWAYS }, { S(close_range), ALWAYS }, { S(dup), ALWAYS },
    { S(dup2), ALWAYS }, { S(dup3), ALWAYS }, { S(fcntl), ALWAYS }, { S(flock), ALWAYS },
    { S(pipe), ALWAYS }, { S(pipe2), ALWAYS }, { S(eventfd2), ALWAYS }, { S(poll), ALWAYS },
    { S(ppoll), ALWAYS }, { S(select), ALWAYS }, { S(pselect6), ALWAYS },
    { S(epoll_create1), ALWAYS }, { S(epoll_ctl), ALWAYS }, { S(epoll_wait), ALWAYS },
    { S(epoll_pwait), ALWAYS }, { S(epoll_pwait2), ALWAYS }, { S(timerfd_create), ALWAYS },
    { S(timerfd_settime), ALWAYS }, { S(signalfd4), ALWAYS }, { S(sendfile), ALWAYS },
    { S(splice), ALWAYS }, { S(copy_file_range), ALWAYS }, { S(fadvise64), ALWAYS },
    { S(ftruncate), ALWAYS }, { S(fallocate), ALWAYS }, { S(fsync), ALWAYS }, { S(fdatasync), ALWAYS },
    { S(sync_file_range), ALWAYS }, { S(msync), ALWAYS },
    /* sockets */
    { S(socketpair), ALWAYS }, { S(connect), ALWAYS }, { S(accept), ALWAYS }, { S(accept4), ALWAYS },
    { S(sendto), ALWAYS }, { S(recvfrom), ALWAYS }, { S(sendmsg), ALWAYS }, { S(recvmsg), ALWAYS },
    { S(sendmmsg), ALWAYS }, { S(recvmmsg), ALWAYS }, { S(shutdown), ALWAYS },
    { S(getsockname), ALWAYS }, { S(getpeername), ALWAYS }, { S(setsockopt), ALWAYS },
    { S(getsockopt), ALWAYS }, { S(bind), SANDBOX_INET_CLIENT },
    /* looking at files; Landlock and modes say which */
    { S(stat), ALWAYS }, { S(fstat), ALWAYS }, { S(lstat), ALWAYS }, { S(newfstatat), ALWAYS },
    { S(statx), ALWAYS }, { S(statfs), ALWAYS }, { S(fstatfs), ALWAYS }, { S(access), ALWAYS },
    { S(faccessat), ALWAYS }, { S(faccessat2), ALWAYS }, { S(readlink), ALWAYS },
    { S(readlinkat), ALWAYS }, { S(getdents64), ALWAYS }, { S(getcwd), ALWAYS },
    { S(inotify_init1), ALWAYS }, { S(inotify_add_watch), ALWAYS }, { S(inotify_rm_watch), ALWAYS },
    /* changing files */
    { S(mkdir), WRITES_FILES }, { S(mkdirat), WRITES_FILES }, { S(rmdir), WRITES_FILES },
    { S(unlink), WRITES_FILES }, { S(unlinkat), WRITES_FILES }, { S(rename), WRITES_FILES },
    { S(renameat), WRITES_FILES }, { S(renameat2), WRITES_FILES }, { S(link), WRITES_FILES },
    { S(linkat), WRITES_FILES }, { S(symlink), WRITES_FILES }, { S(symlinkat), WRITES_FILES },
    { S(chmod), WRITES_FILES }, { S(fchmod), WRITES_FILES }, { S(fchmodat), WRITES_FILES },
    { S(chown), WRITES_FILES }, { S(fchown), WRITES_FILES }, { S(lchown), WRITES_FILES },
    { S(fchownat), WRITES_FILES }, { S(utime), WRITES_FILES }, { S(utimes), WRITES_FILES },
    { S(utimensat), WRITES_FILES }, { S(truncate), WRITES_FILES }, { S(creat), WRITES_FILES },
    { S(chdir), WRITES_FILES }, { S(fchdir), WRITES_FILES },
    /* acting as a mailbox owner */
    { S(setuid), SANDBOX_SETUID }, { S(setgid), SANDBOX_SETUID }, { S(setresuid), SANDBOX_SETUID },
    { S(setresgid), SANDBOX_SETUID }, { S(setreuid), SANDBOX_SETUID }, { S(setregid), SANDBOX_SETUID },
    { S(setgroups), SANDBOX_SETUID }, { S(setfsuid), SANDBOX_SETUID }, { S(setfsgid), SANDBOX_SETUID },
    { S(capset), SANDBOX_SETUID },
    /* children */
    { S(fork), SANDBOX_FORK }, { S(vfork), SANDBOX_FORK }, { S(wait4), SANDBOX_FORK },
    { S(waitid), SANDBOX_FORK }, { S(kill), SANDBOX_FORK }, { S(setpgid), SANDBOX_FORK },
    { S(setsid), SANDBOX_FORK }, { S(getpgrp), SANDBOX_FORK },
    /* what the sanitizers' run time asks for */
    { S(personality), SANITIZED },
};

/* Death at once. */
static const struct call_row deadly[] = {
    { S(ptrace), ALWAYS }, { S(execveat), ALWAYS }, { S(execve), ALWAYS },
    { S(process_vm_readv), ALWAYS }, { S(process_vm_writev), ALWAYS }, { S(mount), ALWAYS },
    { S(umount2), ALWAYS }, { S(fsopen), ALWAYS }, { S(open_tree), ALWAYS }, { S(move_mount), ALWAYS },
    { S(pivot_root), ALWAYS }, { S(chroot), ALWAYS }, { S(unshare), ALWAYS }, { S(setns), ALWAYS },
    { S(bpf), ALWAYS }, { S(perf_event_open), ALWAYS }, { S(keyctl), ALWAYS }, { S(add_key), ALWAYS },
    { S(request_key), ALWAYS }, { S(init_module), ALWAYS }, { S(finit_module), ALWAYS },
    { S(kexec_load), ALWAYS }, { S(userfaultfd), ALWAYS }, { S(io_uring_setup), ALWAYS },
    { S(open_by_handle_at), ALWAYS }, { S(reboot), ALWAYS }, { S(swapon), ALWAYS },
};

/* Refused with an error. */
static const struct {
    int call, error;
} harmless[] = {
    { S(mkdir), EACCES }, { S(mkdirat), EACCES }, { S(rmdir), EACCES }, { S(unlink), EACCES },
    { S(unlinkat), EACCES }, { S(rename), EACCES }, { S(renameat), EACCES }, { S(renameat2), EACCES },
    { S(link), EACCES }, { S(linkat), EACCES }, { S(symlink), EACCES }, { S(symlinkat), EACCES },
    { S(chmod), EACCES }, { S(fchmod), EACCES }, { S(fchmodat), EACCES }, { S(chown), EACCES },
    { S(fchown), EACCES }, { S(truncate), EACCES }, { S(creat), EACCES }, { S(mknod), EACCES },
    { S(mknodat), EACCES }, { S(utimensat), EACCES }, { S(chdir), EACCES },
    { S(clone3), ENOSYS },          /* its flags lie in memory; the C library then takes clone */
    { S(openat2), ENOSYS }, { S(bind), EACCES }, { S(listen), EACCES }, { S(fork), EPERM },
    { S(vfork), EPERM }, { S(setpriority), EPERM }, { S(sched_setscheduler), EPERM },
    { S(mlock), EPERM }, { S(kill), EPERM }, { S(setrlimit), EPERM },
};

static bool row_applies(const struct call_row *row, unsigned flags)
{
    return row->any_of == ALWAYS || row->any_of & flags;
}

static bool is_allowed(int call, unsigned flags)
{
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (allowed[i].call == call && row_applies(&allowed[i], flags))
            return true;
    return false;
}

/* add - calls that this architecture does not have are no error */
static void add(scmp_filter_ctx ctx, uint32_t action, int call)
{
    if (call >= 0)
        seccomp_rule_add(ctx, action, call, 0);
}

static void add_if(scmp_filter_ctx ctx, uint32_t action, int call, struct scmp_arg_cmp cmp)
{
    if (call >= 0)
        seccomp_rule_add_array(ctx, action, call, 1, &cmp);
}

static void add_tables(scmp_filter_ctx ctx, unsigned flags)
{
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (row_applies(&allowed[i], flags))
            add(ctx, SCMP_ACT_ALLOW, allowed[i].call);
    for (size_t i = 0; i < ARRAY_LEN(deadly); i++)
        if (!is_allowed(deadly[i].call, flags))
            add(ctx, SCMP_ACT_KILL_PROCESS, deadly[i].call);
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
        if (!is_allowed(harmless[i].call, flags))
            add(ctx, SCMP_ACT_ERRNO((uint32_t)harmless[i].error), harmless[i].call);
}

/* add_open - for reading; for writing only with directories to write to */
static void add_open(scmp_filter_ctx ctx, unsigned flags)
{
    static const unsigned writing[] = { O_WRONLY, O_RDWR, O_CREAT, O_TRUNC };

    if (flags & WRITES_FILES) {
        add(ctx, SCMP_ACT_ALLOW, S(open));
        add(ctx, SCMP_ACT_ALLOW, S(openat));
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(writing); i++) {
        const uint64_t bit = writing[i];

        add_if(ctx, SCMP_ACT_ERRNO(EACCES), S(open), SCMP_A1(SCMP_CMP_MASKED_EQ, bit, bit));
        add_if(ctx, SCMP_ACT_ERRNO(EACCES), S(openat), SCMP_A2(SCMP_CMP_MASKED_EQ, bit, bit));
    }
    const uint64_t all = O_ACCMODE | O_CREAT | O_TRUNC;
    add_if(ctx, SCMP_ACT_ALLOW, S(open), SCMP_A1(SCMP_CMP_MASKED_EQ, all, O_RDONLY));
    add_if(ctx, SCMP_ACT_ALLOW, S(openat), SCMP_A2(SCMP_CMP_MASKED_EQ, all, O_RDONLY));
}

/* add_sockets - every family has one answer, as rules of one call must not overlap */
static void add_sockets(scmp_filter_ctx ctx, unsigned flags)
{
    static const struct {
        int family;
        unsigned any_of;
    } families[] = {
        { AF_INET, SANDBOX_INET_CLIENT },
        { AF_INET6, SANDBOX_INET_CLIENT },
        { AF_NETLINK, SANDBOX_NSS },
    };

    add_if(ctx, SCMP_ACT_ALLOW, S(socket), SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        const bool ok = families[i].any_of & flags;

        add_if(ctx, ok ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EACCES), S(socket),
               SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i].family));
    }
}

static void add_clone(scmp_filter_ctx ctx, unsigned flags)
{
    const uint64_t spaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                            CLONE_NEWNET | CLONE_NEWCGROUP;

    if (flags & SANDBOX_FORK)
        add_if(ctx, SCMP_ACT_ALLOW, S(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, spaces, 0));
    else {
        add_if(ctx, SCMP_ACT_ALLOW, S(clone),
               SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
        add_if(ctx, SCMP_ACT_ERRNO(EPERM), S(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    }
}

static void add_options(scmp_filter_ctx ctx)
{
    static const unsigned long ioctls[] = { FIONREAD, FIONBIO, TCGETS, TIOCGWINSZ };
    static const int prctls[] = { PR_SET_NAME,         PR_GET_NAME,     PR_CAPBSET_READ,
                                  PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE, PR_GET_DUMPABLE,
                                  0x53564d41 /* PR_SET_VMA: malloc names its memory */ };

    for (size_t i = 0; i < ARRAY_LEN(ioctls); i++)
        add_if(ctx, SCMP_ACT_ALLOW, S(ioctl), SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
    for (size_t i = 0; i < ARRAY_LEN(prctls); i++)
        add_if(ctx, SCMP_ACT_ALLOW, S(prctl), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)prctls[i]));
}

static int master_fd = -1;  /* for the handler, which has no argument of ours */

/* on_refused - runs as a signal handler: tell master, then die of the same signal */
static void on_refused(int signo, siginfo_t *info, void *context)
{
    const struct master_note note = { NOTE_REFUSED, 0, (uint16_t)info->si_syscall };

    (void)context;
    if (master_fd >= 0 && write(master_fd, &note, sizeof note) < 0)
        master_fd = -1;
    signal(signo, SIG_DFL);
    raise(signo);
}

static void catch_refusals(int fd)
{
    struct sigaction sa = { .sa_sigaction = on_refused, .sa_flags = SA_SIGINFO | SA_NODEFER };

    master_fd = fd;
    sigaction(SIGSYS, &sa, NULL);
}

static void free_filter(scmp_filter_ctx *ctx)
{
    if (*ctx)
        seccomp_release(*ctx);
}

static unsigned conditions(const struct running *rd)
{
    unsigned flags = rd->sandbox_flags;

    if (rd->sv.daemon->sandbox.write[0] || flags & SANDBOX_ALL_FILES)
        flags |= WRITES_FILES;
#ifdef __SANITIZE_ADDRESS__
    flags |= SANITIZED;
#endif
    return flags;
}

/* make_filter - for programs that stay what they are */
static scmp_filter_ctx make_filter(unsigned flags)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);

    if (!ctx)
        return NULL;
    add_tables(ctx, flags);
    add_open(ctx, flags);
    add_sockets(ctx, flags);
    add_clone(ctx, flags);
    add_options(ctx);
    return ctx;
}

/* make_exec_filter - for programs that execute others */
static scmp_filter_ctx make_exec_filter(void)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

    for (size_t i = 0; ctx && i < ARRAY_LEN(deadly); i++)
        if (deadly[i].call != S(execve) && deadly[i].call != S(execveat))
            add(ctx, SCMP_ACT_ERRNO(EPERM), deadly[i].call);
    return ctx;
}

void seccomp_apply(struct running *rd)
{
    const unsigned flags = conditions(rd);
    _cleanup_(free_filter) scmp_filter_ctx ctx =
        flags & SANDBOX_EXEC ? make_exec_filter() : make_filter(flags);

    if (!ctx)
        log_fatal("cannot make a system call filter");
    catch_refusals(rd->master_fd);
    seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
    seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    int r = seccomp_load(ctx);
    if (r == -EINVAL || r == -ENOSYS)
        log_info("this kernel has no system call filter: system calls are not limited");
    else if (r < 0)
        log_fatal("cannot load the system call filter: %s", strerror(-r));
}
