/* What a program may do that a recorder has to live through, one act a run: acts NAME [ARGUMENT...].
 * Linked statically, so that nothing but the act is seen. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fuse.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char **args;

/* The name of what went wrong, or of what went well. */
static const char *outcome(long result) { return result < 0 ? strerrorname_np(errno) : "done"; }

/* Reads a file and prints its first line. */
static int show(int fd) {
    char text[200];
    ssize_t count = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (count < 0) { printf("%s\n", strerrorname_np(errno)); return 1; }
    fwrite(text, 1, count, stdout);
    fflush(stdout);
    return 0;
}

static void *execute(void *unused) {
    (void)unused;
    execv(args[0], args);
    printf("%s\n", strerrorname_np(errno));
    exit(1);
}

/* COMMAND becomes another program from a thread that is not its first one. */
static int thread_exec(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, execute, NULL);
    for (;;) pause();
    return 1;
}

static int vfork_exec(void) {
    pid_t child = vfork();
    if (child == 0) { execv(args[0], args); _exit(9); }
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

static int execveat_fd(void) {
    int fd = open(args[0], O_PATH | O_CLOEXEC);
    syscall(SYS_execveat, fd, "", args, environ, AT_EMPTY_PATH);
    printf("%s\n", strerrorname_np(errno));
    return 1;
}

/* By openat2, relative to a directory and with nothing above it. */
static int openat2_beneath(void) {
    struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_BENEATH};
    return show(syscall(SYS_openat2, open(args[0], O_PATH | O_DIRECTORY), args[1], &how, sizeof how));
}

static void nothing(int signal) { (void)signal; }

/* Opens a file again and again under a timer whose handler interrupts system calls. */
static int timers(void) {
    struct sigaction action = {.sa_handler = nothing};
    struct itimerval often = {{0, 2000}, {0, 2000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    int interrupted = 0;
    for (int i = 0; i < 3000; i++) {
        int fd = open(args[0], O_RDONLY);
        if (fd < 0) interrupted++; else close(fd);
    }
    printf("%d interrupted\n", interrupted);
    return 0;
}

/* A listener of COMMAND's own. */
static int listener(void) {
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    printf("listener: %s\n", outcome(fd));
    return show(open(args[0], O_RDONLY));
}

static int io_uring(void) {
    char parameters[120] = {0};
    printf("io_uring: %s\n", outcome(syscall(SYS_io_uring_setup, 8, parameters)));
    return show(open(args[0], O_RDONLY));
}

/* mkdir by the 32-bit entry; the name has to lie where 32 bits reach. */
static int other_entry(void) {
#ifdef __x86_64__
    static char name[] = "through-32-bits";
    long result = 39;
    __asm__ volatile("int $0x80" : "+a"(result) : "b"(name), "c"(0700L) : "memory", "r8", "r9", "r10", "r11");
    errno = result < 0 ? -result : 0;
    printf("32 bits: %s\n", outcome(result < 0 ? -1 : 0));
#else
    printf("32 bits: ENOSYS\n");
#endif
    return show(open(args[0], O_RDONLY));
}

static int into_chroot(void) {
    if (unshare(CLONE_NEWUSER) || chroot(args[0]) || chdir("/")) { printf("%s\n", strerrorname_np(errno)); return 1; }
    return show(open(args[1], O_RDONLY));
}

static char forged[4096];
static volatile int going = 1;

/* Changes a name between two while it is used. */
static void *forge(void *unused) {
    (void)unused;
    for (unsigned i = 0; going; i++) memcpy(forged, args[i & 1], strlen(args[i & 1]) + 1);
    return NULL;
}

static int forgery(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, forge, NULL);
    for (int i = 0; i < 4000; i++) {
        int fd = open(forged, O_RDONLY);
        if (fd >= 0) close(fd);
    }
    going = 0;
    pthread_join(thread, NULL);
    printf("forged\n");
    return 0;
}

/* Opens a link that another thread turns between two targets. */
static void *turn(void *unused) {
    (void)unused;
    for (unsigned i = 0; going; i++) {
        unlink("out/turning.new");
        if (symlink(args[i & 1], "out/turning.new") == 0) rename("out/turning.new", "out/turning");
    }
    return NULL;
}

static int turning(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, turn, NULL);
    for (int i = 0; i < 2000; i++) {
        int fd = open("out/turning", O_RDONLY);
        if (fd >= 0) close(fd);
    }
    going = 0;
    pthread_join(thread, NULL);
    printf("turned\n");
    return 0;
}

/* Serves a file system at args[0] until a child ends that looks for a file in it; that one's status. `answer` fills the body of an answer, and
   returns its size or an error. */
static int serve(int (*look)(const char *), int (*answer)(const struct fuse_in_header *, void *)) {
    char options[100], buffer[70000];
    int fd = open("/dev/fuse", O_RDWR), status = 1;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u", fd, getuid(), getgid());
    if (fd < 0 || mount("fuse", args[0], "fuse", 0, options)) { printf("mount: %s\n", strerrorname_np(errno)); exit(1); }
    pid_t child = fork();
    if (child == 0) {
        char name[200];
        snprintf(name, sizeof name, "%s/file", args[0]);
        _exit(look(name));
    }
    while (waitpid(child, &status, WNOHANG) == 0) {
        struct timeval soon = {0, 20000};
        fd_set set;
        FD_ZERO(&set);
        FD_SET(fd, &set);
        if (select(fd + 1, &set, NULL, NULL, &soon) < 1 || read(fd, buffer, sizeof buffer) < 0) continue;
        struct fuse_in_header *in = (void *)buffer;
        struct { struct fuse_out_header head; char body[4096]; } out = {0};
        if (in->opcode == FUSE_FORGET || in->opcode == FUSE_INTERRUPT) continue; // which want no answer
        int size = answer(in, out.body);
        out.head.unique = in->unique, out.head.error = size < 0 ? size : 0, out.head.len = sizeof out.head + (size < 0 ? 0 : size);
        if (write(fd, &out, out.head.len) < 0) continue;
    }
    return status;
}

static const struct fuse_attr root = {.ino = 1, .mode = S_IFDIR | 0755, .nlink = 2};

/* The beginning, which is the same for all file systems here. */
static int answer_init(void *body) {
    *(struct fuse_init_out *)body = (struct fuse_init_out){.major = 7, .minor = 31, .max_write = 4096};
    return sizeof(struct fuse_init_out);
}

static int answer_with(const struct fuse_attr *attr, unsigned valid, void *body) {
    *(struct fuse_attr_out *)body = (struct fuse_attr_out){.attr_valid = valid, .attr = *attr};
    return sizeof(struct fuse_attr_out);
}

static int no_file(const char *name) { return open(name, O_RDONLY) < 0 && errno == ENOENT ? 0 : 1; }

/* One directory, in which nothing is found, and that late. */
static int about_nothing(const struct fuse_in_header *in, void *body) {
    if (in->opcode == FUSE_INIT) return answer_init(body);
    if (in->opcode == FUSE_GETATTR) return answer_with(&root, 0, body);
    usleep(300000);
    return -ENOENT;
}

static int fuse(void) {
    printf("served %d\n", serve(no_file, about_nothing));
    return 0;
}

/* Opens what a name leads to that is in a file. */
static int open_named_in(const char *name) {
    const char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, open(name, O_RDONLY), 0);
    return page != MAP_FAILED && open(page, O_RDONLY) >= 0 ? 0 : 1;
}

/* One file, a page with a name in it, that takes three seconds to read. */
static int about_a_page(const struct fuse_in_header *in, void *body) {
    const struct fuse_attr page = {.ino = 2, .mode = S_IFREG | 0644, .nlink = 1, .size = 4096};
    switch (in->opcode) {
    case FUSE_INIT: return answer_init(body);
    case FUSE_GETATTR: return answer_with(in->nodeid == 1 ? &root : &page, 99, body);
    case FUSE_LOOKUP:
        *(struct fuse_entry_out *)body = (struct fuse_entry_out){.nodeid = 2, .entry_valid = 99, .attr_valid = 99, .attr = page};
        return sizeof(struct fuse_entry_out);
    case FUSE_OPEN:
        *(struct fuse_open_out *)body = (struct fuse_open_out){0};
        return sizeof(struct fuse_open_out);
    case FUSE_READ:
        sleep(3);
        strcpy(body, args[1]);
        return 4096;
    default: return -ENOSYS;
    }
}

static int late(void) {
    printf("opened %d\n", serve(open_named_in, about_a_page));
    return 0;
}

/* Many processes at the same time: each is in a working directory that changes all the time, and opens what only that one has. */
static int crowd(void) {
    char name[40];
    for (int number = 0; number < 8; number++) {
        if (fork()) continue;
        for (int i = 0; i < 40; i++) {
            snprintf(name, sizeof name, "d%d", (number + i) % 8);
            if (chdir(name)) _exit(1);
            snprintf(name, sizeof name, "f%d.%d", (number + i) % 8, i);
            int fd = open(name, O_RDONLY);
            if (fd < 0 || close(fd) || chdir("..")) _exit(2);
        }
        _exit(0);
    }
    int status, problems = 0;
    while (wait(&status) > 0) problems |= status;
    puts(problems ? "not all read" : "all read");
    return 0;
}

/* Ends well only if every file can be read, and every socket connected to. */
static int needs(void) {
    for (int i = 0; args[i]; i++) {
        struct stat status;
        if (stat(args[i], &status)) { printf("%s: %s\n", args[i], strerrorname_np(errno)); return 1; }
        int fd;
        if (S_ISSOCK(status.st_mode)) {
            struct sockaddr_un address = {.sun_family = AF_UNIX};
            strncpy(address.sun_path, args[i], sizeof address.sun_path - 1);
            fd = socket(AF_UNIX, SOCK_STREAM, 0);
            if (connect(fd, (void *)&address, sizeof address)) fd = -1;
        } else fd = open(args[i], O_RDONLY);
        if (fd < 0) { printf("%s: %s\n", args[i], strerrorname_np(errno)); return 1; }
        close(fd);
    }
    printf("all there\n");
    return 0;
}

/* Looks for files with long names that nobody has ever heard of. */
static int flood(void) {
    static char name[4000];
    for (int i = atoi(args[0]); i > 0; i--) {
        int length = snprintf(name, sizeof name, "/%d", i);
        while (length < 3900) length += snprintf(name + length, sizeof name - (size_t)length, "/%0200d", length);
        if (access(name, F_OK) == 0) return 1;
    }
    printf("flooded\n");
    return 0;
}

/* Executes something once it is told to, with a fourth argument that only a filter sees. */
static int exec_late(void) {
    char *environment[] = {NULL};
    puts("in");
    fflush(stdout);
    getchar();
    syscall(SYS_execve, args[0], args, environment, 7);
    puts(strerrorname_np(errno));
    return 3;
}

int main(int argc, char **argv) {
    static const struct { const char *name; int (*act)(void); } acts[] = {
        {"thread-exec", thread_exec}, {"vfork-exec", vfork_exec}, {"execveat-fd", execveat_fd}, {"openat2", openat2_beneath},
        {"timers", timers}, {"listener", listener}, {"io_uring", io_uring}, {"other-entry", other_entry}, {"chroot", into_chroot},
        {"forgery", forgery}, {"turning", turning}, {"fuse", fuse}, {"late", late}, {"crowd", crowd}, {"needs", needs}, {"flood", flood}, {"exec-late", exec_late},
    };
    args = argv + 2;
    for (size_t i = 0; argc > 1 && i < sizeof acts / sizeof *acts; i++)
        if (!strcmp(argv[1], acts[i].name)) return acts[i].act();
    return 99;
}
