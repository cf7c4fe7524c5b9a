/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding and loading wire_tls.so, once a process.
 */
#include "config.h"
#include "wire/tls.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct wire_tls_module *loaded;
static struct err failure;

static void load(void)
{
    /* For programs that run before they are installed. */
    const char *dir = secure_getenv("SLURMLIKE_MODULE_DIR");
    char path[4096];
    snprintf(path, sizeof(path), "%s/wire_tls.so", dir ? dir : SL_PKGLIBDIR);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct wire_tls_module *m = handle ? dlsym(handle, "wire_tls_module") : NULL;
    if (!m) {
        err_set(&failure, -ENOENT, "connections over TCP need a module: %s", dlerror());
        return;
    }
    if (strcmp(m->version, PACKAGE_VERSION) != 0) {
        err_set(&failure, SL_EVERSION, "%s is of release %s, this program of %s", path,
                m->version, PACKAGE_VERSION);
        return;
    }
    loaded = m;
}

const struct wire_tls_module *wire_tls_load(struct err *err)
{
    pthread_once(&once, load);
    if (!loaded && err)
        *err = failure;
    return loaded;
}
