/* SPDX-License-Identifier: Apache-2.0
 *
 * folder: removing a folder with all in it.
 */
#ifndef SL_BASE_FOLDER_H
#define SL_BASE_FOLDER_H

/* Never follows a symbolic link, so that it is safe where users write, too. What cannot be
 * removed stays and is logged; a missing folder is no failure. */
void folder_remove(const char *path);

#endif
