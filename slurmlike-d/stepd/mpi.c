/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h" /* PACKAGE_VERSION */
#include "stepd/mpi.h"

#include "base/folder.h"
#include "stepd/mpi_module.h"
#include "stepd/tree.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct mpi {
    const struct mpi_module *module;
    struct mpi_host host;
};

static const char *mpi_name(const struct step *s)
{
    const char *name = s->launch->spec->mpi;
    if (s->batch || s->step_id == STEP_EXTERN)
        return "none";
    return name[0] ? name : s->opts->mpi_default;
}

/* ---- messages ------------------------------------------------------------------------ */

static void message_out(const struct mpi_msg *m, Sl__PmixMsg *out)
{
    sl__pmix_msg__init(out);
    out->kind = m->kind;
    out->fence = m->sequence;
    out->procs.data = (uint8_t *)(uintptr_t)m->set;
    out->procs.len = m->set ? strlen(m->set) : 0;
    out->data.data = (uint8_t *)(uintptr_t)m->data;
    out->data.len = m->data_bytes;
    out->status = m->status;
    out->rank = m->rank;
    out->from = m->from;
    out->to = m->to;
    out->request = m->request;
    out->contributions = m->number;
}

static void deliver(struct step *s, const Sl__PmixMsg *m)
{
    char *set = xmalloc(m->procs.len + 1);
    if (m->procs.len > 0)
        memcpy(set, m->procs.data, m->procs.len);
    set[m->procs.len] = '\0';
    struct mpi_msg in = {.kind = m->kind,
                         .sequence = m->fence,
                         .set = set,
                         .data = m->data.data,
                         .data_bytes = m->data.len,
                         .status = m->status,
                         .rank = m->rank,
                         .from = m->from,
                         .to = m->to,
                         .request = m->request,
                         .number = m->contributions};
    s->mpi->module->message(&in);
    free(set);
}

static bool send_to(struct step *s, const Sl__PmixMsg *m)
{
    if (m->to == s->node_index) {
        deliver(s, m);
        return true;
    }
    return tree_pmix_to(s, m->to, m) || (!s->root && tree_pmix_up(s, m));
}

static bool send_msg(struct step *s, enum mpi_way way, const struct mpi_msg *m)
{
    Sl__PmixMsg out;
    message_out(m, &out);
    out.nspace = (char *)(way == MPI_WAY_TO ? "to" : "");
    switch (way) {
    case MPI_WAY_UP:
        return tree_pmix_up(s, &out);
    case MPI_WAY_DOWN:
        tree_pmix_down(s, &out);
        return true;
    case MPI_WAY_TO:
        return send_to(s, &out);
    }
    return false;
}

void mpi_message(struct step *s, const Sl__PmixMsg *m)
{
    if (m->to >= s->nodes_count || m->from >= s->nodes_count ||
        m->rank >= s->launch->layout->ntasks) {
        log_warn("mpi", "step=%s malformed message kind=%u", s->name, m->kind);
        return;
    }
    if (strcmp(m->nspace, "to") == 0 && m->to != s->node_index) {
        if (!send_to(s, m))
            log_verbose("mpi", "step=%s node=%u cannot be reached", s->name, m->to);
        return;
    }
    if (s->mpi)
        deliver(s, m);
}

void mpi_node_lost(struct step *s, uint32_t node_index)
{
    Sl__PmixMsg m = SL__PMIX_MSG__INIT;
    m.from = node_index;
    if (s->mpi)
        deliver(s, &m);
}

/* ---- module ----------------------------------------------------------------------------- */

#define OBJECTS_MAX 64u

static const struct mpi_module *loaded; /* stays until the process ends */
static struct err failure;              /* why it is not */

/* Address ranges of shared objects, in the order in which they were loaded. */
struct objects {
    struct {
        void *start;
        size_t bytes;
    } at[OBJECTS_MAX];
    size_t count, before; /* before: that were there without the module */
};

static struct objects objects;

static int object_add(struct dl_phdr_info *info, size_t bytes, void *arg)
{
    struct objects *o = arg;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t low = UINTPTR_MAX, high = 0;

    (void)bytes;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + h->p_vaddr;
        if (h->p_type != PT_LOAD)
            continue;
        low = start < low ? start : low;
        high = start + h->p_memsz > high ? start + h->p_memsz : high;
    }
    if (low < high && o->count < OBJECTS_MAX) {
        low &= ~(page - 1);
        high = (high + page - 1) & ~(page - 1);
        o->at[o->count].start = (void *)low; /* NOLINT(performance-no-int-to-ptr) */
        o->at[o->count++].bytes = high - low;
    }
    return 0;
}

static void objects_list(struct objects *o)
{
    o->count = 0;
    dl_iterate_phdr(object_add, o);
}

void mpi_preload(const struct node_opts *opts)
{
    char path[PATH_LEN_MAX + 1];
    snprintf(path, sizeof(path), "%s/mpi_pmix.so", opts->module_dir);
    objects_list(&objects);
    objects.before = objects.count;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct mpi_module *m = handle ? dlsym(handle, "mpi_module") : NULL;
    if (!m) {
        err_set(&failure, -ENOENT, "--mpi=pmix needs a module: %s", dlerror());
        return;
    }
    if (strcmp(m->version, PACKAGE_VERSION) != 0) {
        err_set(&failure, SL_EVERSION, "%s is of release %s, the supervisor of %s", path,
                m->version, PACKAGE_VERSION);
        return;
    }
    if (m->preload(&failure) == 0)
        loaded = m;
    objects_list(&objects);
}

void mpi_keep_from_tasks(void)
{
    for (size_t i = objects.before; i < objects.count; i++)
        if (madvise(objects.at[i].start, objects.at[i].bytes, MADV_DONTFORK) < 0)
            log_verbose("mpi", "madvise: %s", strerror(errno)); /* forks cost more */
}

int mpi_start(struct step *s, struct err *err)
{
    const char *name = mpi_name(s);
    if (s->mpi || strcmp(name, "none") == 0)
        return 0;
    if (strcmp(name, "pmix") != 0)
        return err_set(err, SL_ENOT_BUILT, "--mpi=%s is not built; built are: pmix, none",
                       name);
    if (!loaded) {
        *err = failure;
        return failure.code;
    }
    struct mpi *m = xcalloc(1, sizeof(*m));
    m->module = loaded;
    m->host = (struct mpi_host){.step = s, .send = send_msg, .abort = tree_abort,
                                .remove = folder_remove,
                                .tell = step_tell, .log = log_msg};
    int rc = loaded->start(&m->host, err);
    if (rc < 0) {
        free(m);
        return rc;
    }
    s->mpi = m;
    return 0;
}

bool mpi_stop(struct step *s)
{
    bool orderly = !s->terminating && s->status == 0;
    if (!s->mpi)
        return true;
    s->mpi->module->stop(orderly);
    if (orderly)
        free(s->mpi);
    s->mpi = NULL;
    return orderly;
}

int mpi_task_env(struct step *s, const struct task *t, struct env_list *e, struct err *err)
{
    if (!s->mpi)
        return 0;
    char **env = s->mpi->module->task_env(t, e->arena, err);
    if (!env)
        return err->code;
    for (; *env; env++) {
        char *eq = strchr(*env, '=');
        if (!eq)
            continue;
        *eq = '\0';
        env_list_set(e, *env, "%s", eq + 1);
    }
    return 0;
}

bool mpi_task_ended(struct step *s, const struct task *t)
{
    return s->mpi && s->mpi->module->task_broke(t);
}
