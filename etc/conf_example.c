/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes slurmlike.conf.example from the key table, at build time.
 */
#include <stdio.h>

#include "conf/conf.h"

int main(void)
{
    conf_print_example(stdout);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
