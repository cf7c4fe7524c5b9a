/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"
#include "data/h5.h"
#include "train/place.h"
#include "train/train.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int run(struct settings *set, const struct comm *comm, struct err *err)
{
    struct train t;
    int rc = settings_check_ranks(set, comm->ranks, err);
    if (rc < 0)
        return EXIT_USAGE;
    place_catch_signals();
    rc = train_open(&t, set, comm, err);
    if (rc == 0)
        rc = train_resume(&t, err);
    int code = rc == 0 ? train_run(&t, err) : EXIT_ERROR;
    train_close(&t);
    return code;
}

static int run_mpi(struct settings *set)
{
    struct comm comm;
    struct err err = {0};
    place_before_mpi();
    if (place_check_launch(&err) < 0)
        return place_launcher_rank() == 0 ? command_fail("pretrain", &err, EXIT_ERROR)
                                          : EXIT_ERROR;
    if (MPI_Init(NULL, NULL) != MPI_SUCCESS) {
        fprintf(stderr, "worker pretrain: MPI does not start\n");
        return EXIT_ERROR;
    }
    h5_quiet();
    int code = EXIT_ERROR;
    if (comm_open(&comm, (int)set->block, &err) == 0)
        code = run(set, &comm, &err);
    if (err.code < 0 && code != EXIT_OK && code != EXIT_REQUEUE && comm.rank == 0)
        command_fail("pretrain", &err, code);
    comm_close(&comm);
    MPI_Finalize();
    return code;
}

int pretrain_main(int argc, char **argv)
{
    struct settings set;
    struct err err = {0};
    options_init(&settings_table, &set);
    int rc = options_parse(&settings_table, &set, argc, argv, NULL, &err), code = EXIT_OK;
    if (rc == 0)
        rc = settings_check(&set, &err);
    if (rc == 1) {
        options_help(&settings_table, stdout);
    } else if (rc < 0) {
        /* All ranks find the same mistake; one says it. What only one node may
         * find (an unreadable file) each says. */
        code = EXIT_USAGE;
        if (place_launcher_rank() == 0 || (rc != -EINVAL && rc != -ERANGE))
            command_fail("pretrain", &err, code);
    } else {
        code = run_mpi(&set);
    }
    options_fini(&settings_table, &set);
    return code;
}
