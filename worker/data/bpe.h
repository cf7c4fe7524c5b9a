/* SPDX-License-Identifier: Apache-2.0
 *
 * bpe: byte-pair encoding, training (bpe_train.c) and use (bpe_encode.c).
 *
 * Training counts distinct pieces once; then each merge visits only the pieces
 * that contain the pair, so the cost is that of what changes, not merges times
 * text. Among pairs of one count the one with the smaller ids wins: the same
 * text gives the same vocabulary whatever the order of its files' blocks.
 */
#ifndef WORKER_DATA_BPE_H
#define WORKER_DATA_BPE_H

#include "data/vocab.h"

struct bpe_trainer;
struct bpe_trainer *bpe_trainer_create(void);
void bpe_trainer_destroy(struct bpe_trainer *t);
/* Counts one piece (copied). */
void bpe_trainer_add(struct bpe_trainer *t, const char *piece, size_t len);
/* Once: merges until the vocabulary has `count` tokens or no pair occurs twice. */
int bpe_train(struct bpe_trainer *t, int pattern, uint32_t count, struct vocab *v,
              struct err *err);

struct bpe_encoder;
/* v must outlive the encoder. */
struct bpe_encoder *bpe_encoder_create(const struct vocab *v);
void bpe_encoder_destroy(struct bpe_encoder *e);
/* Tokens of one piece of at most SPLIT_PIECE_MAX bytes; valid until the next call. */
size_t bpe_encode(struct bpe_encoder *e, const char *piece, size_t len,
                  const uint32_t **tokens);

#endif
