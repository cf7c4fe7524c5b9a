/* SPDX-License-Identifier: Apache-2.0
 *
 * MPI programs for test_mpi.py: mpi_checks NAME [ARGUMENT]. Each checks what it gets and
 * says what was wrong; rank 0 says that all was right.
 */
#include <mpi.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int rank, size;

#define CHECK(cond)                                                             \
    do {                                                                        \
        if (!(cond)) {                                                          \
            fprintf(stderr, "rank %d: line %d: wrong: %s\n", rank, __LINE__, #cond); \
            MPI_Abort(MPI_COMM_WORLD, 99);                                      \
        }                                                                       \
    } while (0)

static void hello(void)
{
    int sum = 0;
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    CHECK(sum == size * (size - 1) / 2);
    printf("rank %d of %d on %s\n", rank, size, getenv("SLURMD_NODENAME"));
}

/* Communicators by colour, columns across nodes too; blocks whose every byte is checked. */
static void stress(void)
{
    enum { BYTES = 70001 };
    unsigned char *mine = malloc(BYTES), *all = malloc((size_t)BYTES * size);
    for (int round = 0; round < 6; round++) {
        MPI_Comm c;
        int r, n, colours = 1 + round % 4;
        MPI_Comm_split(MPI_COMM_WORLD, rank % colours, -rank, &c);
        MPI_Comm_rank(c, &r);
        MPI_Comm_size(c, &n);
        CHECK(n == (size - rank % colours + colours - 1) / colours);
        for (int i = 0; i < BYTES; i++)
            mine[i] = (unsigned char)(i * 7 + rank * 13 + round);
        MPI_Allgather(mine, BYTES, MPI_BYTE, all, BYTES, MPI_BYTE, c);
        for (int k = 0; k < n; k++) {
            int from = rank % colours + (n - 1 - k) * colours; /* keys are falling */
            for (int i = 0; i < BYTES; i++)
                CHECK(all[(size_t)k * BYTES + i] ==
                      (unsigned char)(i * 7 + from * 13 + round));
        }
        MPI_Comm_free(&c);
    }
    free(mine);
    free(all);
}

/* How many ranks does Open MPI let share memory, and does it? */
static void shared(void)
{
    MPI_Comm node;
    MPI_Win win;
    int n, r, *mine, expected = atoi(getenv("SLURM_STEP_TASKS_PER_NODE"));
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_size(node, &n);
    MPI_Comm_rank(node, &r);
    CHECK(n == expected);
    MPI_Win_allocate_shared(sizeof(int), sizeof(int), MPI_INFO_NULL, node, &mine, &win);
    MPI_Win_fence(0, win);
    *mine = rank;
    MPI_Win_fence(0, win);
    for (int i = 0; i < n; i++) {
        MPI_Aint bytes;
        int unit, *theirs;
        MPI_Win_shared_query(win, i, &bytes, &unit, &theirs);
        CHECK(*theirs == rank - r + i);
    }
    MPI_Win_fence(0, win);
    MPI_Win_free(&win);
    MPI_Comm_free(&node);
}

/* A name is published by the last rank, looked up by the first: they meet over a port. */
static void names(void)
{
    char port[MPI_MAX_PORT_NAME] = "", found[MPI_MAX_PORT_NAME] = "";
    int last = rank == size - 1;
    if (last) {
        strcpy(port, "a port of rank last");
        MPI_Publish_name("service", MPI_INFO_NULL, port);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0)
        MPI_Lookup_name("service", MPI_INFO_NULL, found);
    MPI_Barrier(MPI_COMM_WORLD);
    if (last)
        MPI_Unpublish_name("service", MPI_INFO_NULL, port);
    CHECK(rank != 0 || strcmp(found, "a port of rank last") == 0);
}

/* Two halves of the ranks, as a server and its clients. */
static void halves(void)
{
    char port[MPI_MAX_PORT_NAME] = "";
    MPI_Comm half, between;
    int server = rank < size / 2, got = -1, remote;
    MPI_Comm_split(MPI_COMM_WORLD, server, rank, &half);
    if (rank == 0)
        MPI_Open_port(MPI_INFO_NULL, port);
    MPI_Bcast(port, sizeof(port), MPI_CHAR, 0, MPI_COMM_WORLD);
    if (server)
        MPI_Comm_accept(port, MPI_INFO_NULL, 0, half, &between);
    else
        MPI_Comm_connect(port, MPI_INFO_NULL, 0, half, &between);
    MPI_Comm_remote_size(between, &remote);
    CHECK(remote == (server ? size - size / 2 : size / 2));
    MPI_Allreduce(&rank, &got, 1, MPI_INT, MPI_MAX, between);
    CHECK(got == (server ? size - 1 : size / 2 - 1));
    MPI_Comm_disconnect(&between);
    MPI_Comm_free(&half);
    if (rank == 0)
        MPI_Close_port(port);
}

/* One rank ends without the others, which wait in a barrier. */
static void leave(const char *how, const char *argument)
{
    int who = size - 1;
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == who && strcmp(how, "abort") == 0)
        MPI_Abort(MPI_COMM_WORLD, atoi(argument));
    if (rank == who && strcmp(how, "kill") == 0)
        kill(getpid(), atoi(argument));
    if (rank == who && strcmp(how, "exit") == 0)
        _exit(atoi(argument));
    MPI_Barrier(MPI_COMM_WORLD);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "hello";
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (strcmp(name, "hello") == 0)
        hello();
    else if (strcmp(name, "stress") == 0)
        stress();
    else if (strcmp(name, "shared") == 0)
        shared();
    else if (strcmp(name, "names") == 0)
        names();
    else if (strcmp(name, "halves") == 0)
        halves();
    else if (argc > 2)
        leave(name, argv[2]);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0)
        printf("%s: all right\n", name);
    MPI_Finalize();
    return 0;
}
