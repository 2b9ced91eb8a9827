/* The memory in which a network computes: buffers that grow, and the states of hypotheses. */

#ifndef NMT_MEMBER_H
#define NMT_MEMBER_H

#include "products.h"

#include <stdlib.h>

/* Memory that grows. It is kept for the next use, and freed at the end of a call. */
typedef struct {
    void *data;
    size_t size;
} Buffer;

/* Return memory for `count` items, whose contents are undefined. After a failure, `status` is NMT_NO_MEMORY and the
   result is NULL. All buffers have some more bytes at their end, because loops read and write whole vectors. */
static void *reserve(Buffer *buffer, size_t count, size_t item, int *status) {
    size_t size = count * item + 256;
    if (buffer->size >= size) return buffer->data;
    free(buffer->data);
    size = (size + size / 4 + 63) / 64 * 64;
    buffer->data = count > SIZE_MAX / 4 / item ? NULL : aligned_alloc(64, size);
    buffer->size = buffer->data ? size : 0;
    if (buffer->data)
        memset(buffer->data, 0, size);
    else
        *status = NMT_NO_MEMORY;
    return buffer->data;
}

/* Make room for `more` items after the first `used` items of a buffer, which are kept. */
static void *grow(Buffer *buffer, size_t used, size_t more, size_t item, int *status) {
    if (buffer->size >= (used + more) * item + 256) return buffer->data;
    Buffer larger = {0};
    if (!reserve(&larger, 2 * used + more + 16, item, status)) return NULL;
    if (used) memcpy(larger.data, buffer->data, used * item);
    free(buffer->data);
    *buffer = larger;
    return buffer->data;
}

static void release(Buffer *buffer) {
    free(buffer->data);
    *buffer = (Buffer){0};
}

static void swap(Buffer *one, Buffer *other) {
    Buffer swapped = *one;
    *one = *other;
    *other = swapped;
}

/* What attention reads of a sentence. */
typedef struct {
    Buffer keys;   /* (key size, S), transposed, so that a vector has the same number of several tokens */
    Buffer values; /* (S, value size) */
    int32_t length, padded, value_stride; /* S, S rounded up, and the distance between two values */
} Memory;

/* One network, with what it computes for the sentences that are searched at once. */
typedef struct {
    const nmt_network *network;
    Memory *memories;          /* of each sentence */
    Buffer states[2];          /* of each hypothesis: see `StateLayout`; before and after a step */
    size_t state_size;         /* bytes of a hypothesis */
    size_t levels[MAX_LAYERS]; /* the offsets in a state: h of each layer as elements of a row, */
    size_t cells[MAX_LAYERS];  /* c of an LSTM, or h of a GRU, in float32, */
    size_t feed;               /* and the attentional vector, as elements of a row */
    Buffer inputs, input_scales, more_inputs, more_scales, gates, added, joined, outputs[2], query, context, attention;
    Buffer vectors, vector_scales, embedded;
} Member;

static void lay_out_state(Member *member) {
    const nmt_network *network = member->network;
    const nmt_architecture *a = &network->architecture;
    size_t H = a->decoder_size, used = 0;
    for (int32_t l = 0; l < a->decoder_layers; l++) {
        member->cells[l] = used;
        if (a->cell != NMT_RNN) used += (H + PARTS - 1) / PARTS * PARTS * sizeof(float);
    }
    for (int32_t l = 0; l < a->decoder_layers; l++) {
        member->levels[l] = used;
        used += H * element_size(network);
    }
    member->feed = used;
    if (a->decoder == NMT_INPUT_FEEDING) used += H * element_size(network);
    member->state_size = (used + 63) / 64 * 64;
}

static Rows make_rows(const nmt_network *network, const Product *product, int32_t N, Buffer *values, Buffer *scales,
                      int *status) {
    int32_t stride = round_up(product->inputs, 4);
    return (Rows){.values = reserve(values, (size_t)N * stride, element_size(network), status),
                  .scales = reserve(scales, N, sizeof(float), status),
                  .stride = stride};
}

/* Compute W x + b for N rows x of `stride` numbers. */
static float *multiply_floats(const nmt_network *network, const Product *product, const float *x, int32_t stride,
                              int32_t N, Buffer *values, Buffer *scales, Buffer *out, int *status) {
    Rows rows = make_rows(network, product, N, values, scales, status);
    float *result = reserve(out, (size_t)N * product->width, sizeof(float), status);
    if (*status) return NULL;
    for (int32_t n = 0; n < N; n++) write_row(network, product, x + (size_t)n * stride, &rows, n);
    multiply(network, product, &rows, N, result, product->width);
    return result;
}

static char *row_at(const nmt_network *network, const Rows *rows, int32_t row, int32_t column) {
    return (char *)rows->values + ((size_t)row * rows->stride + column) * element_size(network);
}

/* Replace the states by those of other hypotheses: state n becomes that of `origins[n]`. */
static void select_states(Member *member, const int32_t *origins, int32_t N, int *status) {
    size_t size = member->state_size;
    const char *from = member->states[0].data;
    char *to = reserve(&member->states[1], N, size, status);
    if (*status) return;
    for (int32_t n = 0; n < N; n++) memcpy(to + n * size, from + origins[n] * size, size);
    swap(&member->states[0], &member->states[1]);
}

static void release_member(Member *member, int32_t sentences) {
    Buffer *buffers[] = {&member->states[0],   &member->states[1],   &member->inputs,     &member->input_scales,
                         &member->more_inputs, &member->more_scales, &member->gates,      &member->added,
                         &member->joined,      &member->outputs[0],  &member->outputs[1], &member->query,
                         &member->context,     &member->attention,   &member->vectors,    &member->vector_scales,
                         &member->embedded};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) release(buffers[i]);
    for (int32_t b = 0; member->memories && b < sentences; b++) {
        release(&member->memories[b].keys);
        release(&member->memories[b].values);
    }
    free(member->memories);
}

#endif
