/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"
#include "config.h"

#include "backend/gemm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv); /* NULL: not built yet */
    const char *about;
} COMMANDS[] = {
    {"tokenize", tokenize_main, "text to a token set, with a vocabulary trained on it"},
    {"pretrain", pretrain_main, "train a language model from a token set, over MPI"},
    {"inspect", inspect_main, "describe and check token sets and checkpoints"},
    {"finetune", NULL, "continue training on prompts and completions, full or LoRA"},
    {"dpo", NULL, "direct preference optimisation"},
    {"grpo", NULL, "group-relative policy optimisation"},
    {"infer", NULL, "batch inference"},
    {"serve", NULL, "answer requests over HTTP"},
    {"convert", NULL, "models from and to Hugging Face folders"},
    {"eval", NULL, "perplexity and multiple-choice accuracy"},
};
#define COMMANDS_COUNT (sizeof(COMMANDS) / sizeof(COMMANDS[0]))

int command_fail(const char *name, const struct err *err, int code)
{
    fprintf(stderr, "worker %s: %s\n", name, err->text);
    return code;
}

static void help(FILE *out)
{
    fprintf(out, "Usage: worker COMMAND [--KEY VALUE]...\n"
                 "Trains language models as MPI jobs, on the processors of the job.\n\n"
                 "Commands (worker COMMAND --help lists the options of each):\n");
    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        fprintf(out, "  %-10s %s%s\n", COMMANDS[i].name, COMMANDS[i].about,
                COMMANDS[i].run ? "" : " (not built yet)");
    fprintf(out,
            "\nExit codes:\n"
            "  %d  done\n"
            "  %d  an error, told on stderr\n"
            "  %d  wrong options\n"
            "  %d  the loss or a gradient is not finite; trying again will not help\n"
            "  %d  stopped by SIGTERM or SIGUSR1 after a checkpoint; requeue to go on\n",
            EXIT_OK, EXIT_ERROR, EXIT_USAGE, EXIT_DIVERGED, EXIT_REQUEUE);
}

/* libgomp reads how long its threads spin when it is loaded, before main. Its
 * default, milliseconds, takes the processor away from other ranks wherever
 * threads or ranks are more than cores; 1000 rounds, some ten microseconds, cost
 * no one anything. Hence one exec of ourselves, before MPI. */
static void threads_spin_shortly(char **argv)
{
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT"))
        return;
    if (setenv("GOMP_SPINCOUNT", "1000", 1) == 0)
        execv("/proc/self/exe", argv); /* when it fails we just run on */
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        help(stdout);
        return EXIT_OK;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("worker (%s) %s, %s\n", PACKAGE_NAME, PACKAGE_VERSION, gemm_library());
        return EXIT_OK;
    }
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        if (strcmp(name, COMMANDS[i].name) != 0)
            continue;
        if (!COMMANDS[i].run) {
            fprintf(stderr, "worker %s: %s is not built yet\n", name, COMMANDS[i].about);
            return EXIT_ERROR;
        }
        threads_spin_shortly(argv);
        return COMMANDS[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "worker: no command \"%s\"; worker --help lists them\n", name);
    return EXIT_USAGE;
}
