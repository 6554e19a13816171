/* The least that recording can cost: a supervisor that answers the calls that name something, and does nothing else.
   With "read" it also reads the names, which no recorder can do without. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
/* SECCOMP_IOCTL_NOTIF_SET_FLAGS with SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, since Linux 6.6. */
#define SET_FLAGS _IOW('!', 4, unsigned long long)

static const int calls[] = {
    SYS_openat, SYS_openat2, SYS_execve, SYS_execveat, SYS_newfstatat, SYS_statx, SYS_faccessat, SYS_faccessat2, SYS_readlinkat, SYS_statfs,
    SYS_chdir, SYS_mkdirat, SYS_unlinkat, SYS_renameat2, SYS_connect, SYS_bind, SYS_sendto, SYS_sendmsg, SYS_clone3,
#ifdef SYS_open
    SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_unlink, SYS_rename, SYS_mkdir,
#endif
};
enum { COUNT = sizeof calls / sizeof *calls };

/* COMMAND, whose listener goes through a socket: the one sendmsg of it that is not heard of is that one, by its fd. */
static void command(int socket, char **words) {
    struct sock_filter code[COUNT + 6];
    unsigned short n = 0;
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16);
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)socket, COUNT + 1, 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
    for (int i = 0; i < COUNT; i++)
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], COUNT - i, 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    struct sock_fprog program = { n, code };
    unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec part = { "x", 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
    memcpy(CMSG_DATA(head), &listener, sizeof listener);
    if (listener < 0 || sendmsg(socket, &message, 0) != 1) {
        perror("answers");
        _exit(126);
    }
    close(listener);
    close(socket);
    execvp(words[0], words);
    _exit(127);
}

static void answer(int listener, int reads) {
    char name[256];
    for (;;) {
        struct pollfd ready = { listener, POLLIN, 0 };
        struct seccomp_notif call = { 0 };
        if (poll(&ready, 1, -1) != 1 || !(ready.revents & POLLIN))
            return;
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call))
            continue;
        if (reads) {
            /* The first argument is the name, a small number or AT_FDCWD. */
            unsigned long first = call.data.args[0];
            unsigned long place = first > 4096 && (int)first != AT_FDCWD ? first : call.data.args[1], rest = 4096 - place % 4096;
            struct iovec here = { name, rest < sizeof name ? rest : sizeof name }, there = { (void *)place, here.iov_len };
            (void)!process_vm_readv((pid_t)call.pid, &here, 1, &there, 1, 0);
        }
        struct seccomp_notif_resp reply = { .id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
    }
}

int main(int argc, char **argv) {
    int pair[2], status = 0, listener;
    if (argc < 3 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return 125;
    pid_t child = fork();
    if (child == 0)
        command(pair[0], argv + 2);
    close(pair[0]);
    char control[CMSG_SPACE(sizeof(int))], byte;
    struct iovec part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    if (recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC) != 1)
        return 125;
    memcpy(&listener, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof listener);
    ioctl(listener, SET_FLAGS, 1);
    answer(listener, !strcmp(argv[1], "read"));
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
