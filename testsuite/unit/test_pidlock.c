/* SPDX-License-Identifier: Apache-2.0
 *
 * A lock that goes with its process, and is waited for while that process goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/pidlock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOREVER_MSEC 60000

static char dir[] = "/tmp/test_pidlock.XXXXXX";
static char path[PATH_MAX];

/* A child that holds the lock until it is killed. */
static pid_t holder_start(void)
{
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        pid_t other;
        if (pidlock_take(path, 0600, 0, &other, NULL) < 0 || write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static bool waits_for_a_process(pid_t pid)
{
    char name[64], target[64];
    bool found = false;
    snprintf(name, sizeof(name), "/proc/%d/fd", (int)pid);
    DIR *d = opendir(name);
    for (struct dirent *e; d && (e = readdir(d));) {
        ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        found = found || strstr(target, "pidfd");
    }
    if (d)
        closedir(d);
    return found;
}

static void test_a_lock_of_a_living_process_is_refused_and_names_it(void **unused)
{
    struct err err = {0};
    pid_t holder, pid = holder_start();
    (void)unused;

    assert_int_equal(pidlock_take(path, 0600, 10, &holder, &err), -EBUSY);
    assert_int_equal(holder, pid);
    assert_non_null(strstr(err.text, path));
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_the_end_of_the_holder_is_waited_for(void **unused)
{
    struct err err = {0};
    pid_t other, holder = holder_start(), self = getpid();
    (void)unused;

    pid_t killer = fork();
    assert_true(killer >= 0);
    if (killer == 0) {
        while (!waits_for_a_process(self))
            sched_yield();
        kill(holder, SIGKILL);
        _exit(0);
    }
    int fd = pidlock_take(path, 0600, FOREVER_MSEC, &other, &err);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(waitpid(killer, NULL, 0), killer);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
}

static void test_a_second_lock_of_the_same_process_is_refused_at_once(void **unused)
{
    struct err err = {0};
    pid_t holder;
    (void)unused;

    int fd = pidlock_take(path, 0600, FOREVER_MSEC, &holder, &err);
    assert_true(fd >= 0);
    assert_int_equal(pidlock_take(path, 0600, FOREVER_MSEC, &holder, &err), -EBUSY);
    assert_int_equal(holder, getpid());
    close(fd);
}

static void test_a_file_that_cannot_be_made_is_an_error_naming_it(void **unused)
{
    struct err err = {0};
    pid_t holder;
    (void)unused;

    assert_int_equal(pidlock_take("/no/such/folder/lock", 0600, 0, &holder, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/no/such/folder/lock"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lock_of_a_living_process_is_refused_and_names_it),
        cmocka_unit_test(test_the_end_of_the_holder_is_waited_for),
        cmocka_unit_test(test_a_second_lock_of_the_same_process_is_refused_at_once),
        cmocka_unit_test(test_a_file_that_cannot_be_made_is_an_error_naming_it),
    };
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof(path), "%s/lock", dir);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(dir);
    return rc;
}
