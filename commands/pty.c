/* SPDX-License-Identifier: Apache-2.0 */
#include "srun.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static bool is_raw;

void pty_size(uint32_t *rows, uint32_t *cols)
{
    struct winsize ws;
    *rows = *cols = 0;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0) {
        *rows = ws.ws_row;
        *cols = ws.ws_col;
    }
}

bool pty_raw(void)
{
    struct termios t;
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved) != 0)
        return false;
    t = saved;
    cfmakeraw(&t);
    is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
    return is_raw;
}

void pty_restore(void)
{
    if (is_raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
    is_raw = false;
}
