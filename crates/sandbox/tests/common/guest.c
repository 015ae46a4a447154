// What a hostile guest tries by system call. One word an attempt on stdout: its name and what came of it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *what, long result) {
    if (result >= 0) printf("%s=allowed\n", what);
    else printf("%s=%s\n", what, errno == EPERM ? "EPERM" : errno == ENOSYS ? "ENOSYS" : strerror(errno));
    fflush(stdout);
}

static void syscalls(void) {
    struct sigaction_dummy { int unused; };
    tell("unshare_user", unshare(CLONE_NEWUSER));
    tell("unshare_net", unshare(CLONE_NEWNET));
    tell("mount", mount("none", "/tmp", "tmpfs", 0, ""));
    tell("umount", umount2("/proc", MNT_DETACH));
    tell("pivot_root", syscall(SYS_pivot_root, "/tmp", "/tmp"));
    tell("chroot", chroot("/tmp"));
    tell("setns", setns(0, 0));
    tell("ptrace", ptrace(PTRACE_TRACEME, 0, 0, 0));
    tell("keyctl", syscall(SYS_keyctl, 0, -3, 1));
    tell("add_key", syscall(SYS_add_key, "user", "a", "b", 1, -3));
    tell("bpf", syscall(SYS_bpf, 0, 0, 0));
    tell("io_uring_setup", syscall(SYS_io_uring_setup, 1, 0));
    tell("perf_event_open", syscall(SYS_perf_event_open, 0, 0, -1, -1, 0));
    tell("userfaultfd", syscall(SYS_userfaultfd, 0));
    tell("process_vm_readv", syscall(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0));
    tell("name_to_handle_at", syscall(SYS_name_to_handle_at, AT_FDCWD, "/", 0, 0, 0));
    tell("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, 0, 0));
    tell("sethostname", sethostname("x", 1));
    tell("clone_newuser", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    tell("clone3", syscall(SYS_clone3, 0, 0));
    tell("socket_vsock", socket(40, SOCK_STREAM, 0));
    tell("socket_packet", socket(AF_PACKET, SOCK_RAW, 0));
    tell("socket_alg", socket(38, SOCK_SEQPACKET, 0));
    tell("socket_netfilter", socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
    tell("socket_raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    tell("socket_route", socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    tell("socket_unix", socket(AF_UNIX, SOCK_STREAM, 0));
    tell("socket_inet", socket(AF_INET, SOCK_STREAM, 0));
    int child = fork();
    if (child == 0) _exit(0);
    tell("fork", child);
    waitpid(child, 0, 0);
#ifdef __x86_64__
    child = fork();
    if (child == 0) { // the 32-bit door: getpid
        long result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    printf("int80=%s\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? "SIGSYS" : "allowed");
#endif
}

static void processes(void) {
    int made = 0;
    for (int i = 0; i < 1000; i++) {
        int child = fork();
        if (child < 0) { printf("fork_bomb=%s\n", errno == EAGAIN ? "EAGAIN" : strerror(errno)); break; }
        if (child == 0) { pause(); _exit(0); }
        made++;
    }
    printf("forks=%d\n", made);
}

static void memory(void) {
    int child = fork();
    if (child == 0) {
        size_t bytes = 256ul << 20;
        char *all = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (size_t i = 0; i < bytes; i += 4096) all[i] = 1;
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    printf("memory=%s\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? "SIGKILL" : "allowed");
}

// Holds so many MiB of what does not compress, and says when it is asked to whether it is whole.
static void note(const char *what) {
    int file = open("/data/held.new", O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (write(file, what, strlen(what)) < 0) _exit(1);
    close(file);
    rename("/data/held.new", "/data/held");
}

static void hold(long mebi) {
    unsigned long words = mebi << 17, seed = 88172645463325252ul, x = seed;
    unsigned long *held = malloc(words * sizeof *held);
    for (unsigned long i = 0; i < words; i++) { x ^= x << 13; x ^= x >> 7; x ^= x << 17; held[i] = x; }
    note("held");
    for (;;) {
        while (access("/data/check", F_OK)) usleep(10000);
        unsigned long whole = 1;
        x = seed;
        for (unsigned long i = 0; i < words; i++) { x ^= x << 13; x ^= x >> 7; x ^= x << 17; whole &= held[i] == x; }
        note(whole ? "whole" : "broken");
    }
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "";
    if (!strcmp(what, "syscalls")) syscalls();
    else if (!strcmp(what, "processes")) processes();
    else if (!strcmp(what, "memory")) memory();
    else if (!strcmp(what, "hold")) hold(atol(words[2]));
    else if (!strcmp(what, "sleep")) { for (;;) pause(); }
    else if (!strcmp(what, "eat")) {
        for (;;) { char *all = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); memset(all, 1, 1 << 20); }
    }
    return 0;
}
