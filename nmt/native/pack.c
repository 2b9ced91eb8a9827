/* Packing: the tensors of a model folder become the weights of products, in int8 or float32. */

#include "network.h"

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The tensors of a network, read one after the other. The order is that of the calls of `next` in this file, and of
   the function `list_tensors` in packing.py. */
typedef struct {
    const nmt_tensor *next, *end;
    int status;
} Tensors;

static const nmt_tensor *next(Tensors *tensors) {
    static const nmt_tensor none;
    if (tensors->next < tensors->end) return tensors->next++;
    tensors->status = NMT_BAD_ARGUMENT;
    return &none;
}

/* Some columns of a matrix. */
typedef struct {
    const nmt_tensor *tensor;
    int32_t width;        /* the number of columns of the matrix */
    int32_t first, count; /* the columns */
} Columns;

/* Read a part of a row. A tensor that is missing or too small is read as zeros. */
static void read_row(Tensors *tensors, const nmt_tensor *tensor, int64_t row, int32_t width, int32_t first,
                     int32_t count, float *out) {
    if (!tensor->values || row * width + first + count > tensor->size || (tensor->scales && row >= tensor->rows)) {
        tensors->status = NMT_BAD_ARGUMENT;
        memset(out, 0, count * sizeof *out);
    } else if (tensor->scales) {
        const int8_t *values = (const int8_t *)tensor->values + row * width + first;
        for (int32_t i = 0; i < count; i++) out[i] = values[i] * tensor->scales[row];
    } else {
        memcpy(out, (const float *)tensor->values + row * width + first, count * sizeof *out);
    }
}

static int are_finite(const float *values, int64_t count) {
    int finite = 1;
    for (int64_t i = 0; i < count; i++) finite &= isfinite(values[i]) != 0;
    return finite;
}

/* Return the scale with which the largest of some values becomes `levels`. */
static float choose_scale(const float *values, int32_t count, float levels) {
    float largest[16] = {0}; /* of every sixteenth value, so that the loop can be made of vectors */
    int32_t i = 0;
    for (; i + 16 <= count; i += 16)
        for (int32_t k = 0; k < 16; k++)
            largest[k] = fabsf(values[i + k]) > largest[k] ? fabsf(values[i + k]) : largest[k];
    for (; i < count; i++) largest[0] = fabsf(values[i]) > largest[0] ? fabsf(values[i]) : largest[0];
    float whole = 1e-30f;
    for (int32_t k = 0; k < 16; k++) whole = largest[k] > whole ? largest[k] : whole;
    return whole / levels;
}

/* Return values / scale as the nearest integers. Their magnitude is at most 127. Return the sum of the integers. */
static int32_t quantize(const float *values, int32_t count, float scale, int8_t *levels) {
    const float shift = 12582912.0f; /* 1.5 * 2^23: floats of this size have no fraction, so adding it rounds */
    int32_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        int32_t level = (int32_t)((values[i] / scale + shift) - shift);
        levels[i] = (int8_t)level;
        sum += level;
    }
    return sum;
}

/* Write a row of W. `levels` is memory for a row of bytes, rounded up to a multiple of 4. */
static void write_row(Product *product, int32_t precision, int32_t row, const float *values, int8_t *levels) {
    int64_t panel = row / PANEL, place = row % PANEL;
    if (precision == NMT_FLOAT32) {
        float *weights = (float *)product->weights + panel * PANEL * product->inputs + place;
        for (int32_t k = 0; k < product->inputs; k++) weights[(int64_t)k * PANEL] = values[k];
        return;
    }
    int8_t *weights = (int8_t *)product->weights + panel * PANEL * product->depth + place * 4;
    float scale = choose_scale(values, product->inputs, 127);
    int32_t sum = quantize(values, product->inputs, scale, levels);
    for (int32_t k = 0; k < product->depth; k += 4) memcpy(weights + (int64_t)k * PANEL, levels + k, 4);
    ((float *)product->scales)[row] = scale;
    ((int32_t *)product->sums)[row] = 128 * sum;
}

/* Pack a product whose matrix W consists of the columns of several matrices. The bias is the sum of two vectors, each
   of which can be NULL. */
static void pack_product(Tensors *tensors, Product *product, int32_t precision, const Columns *parts, int32_t count,
                         const nmt_tensor *bias, const nmt_tensor *more_bias) {
    float *row = calloc(product->inputs, sizeof *row), *sum = (float *)product->bias;
    int8_t *levels = calloc(product->depth, sizeof *levels);
    int finite = 1;
    if (!row || !levels) tensors->status = NMT_NO_MEMORY;
    for (int32_t f = 0; row && levels && f < product->outputs; f++) {
        float *place = row;
        for (const Columns *part = parts; part < parts + count; place += part->count, part++)
            read_row(tensors, part->tensor, f, part->width, part->first, part->count, place);
        finite &= are_finite(row, product->inputs);
        write_row(product, precision, f, row, levels);
    }
    if (bias) read_row(tensors, bias, 0, product->outputs, 0, product->outputs, sum);
    if (more_bias && (more_bias->scales || more_bias->size < product->outputs)) {
        tensors->status = NMT_BAD_ARGUMENT;
        more_bias = NULL;
    }
    for (int32_t f = 0; more_bias && f < product->outputs; f++) sum[f] += ((const float *)more_bias->values)[f];
    if (!finite || !are_finite(sum, product->outputs)) tensors->status = NMT_NOT_A_NUMBER;
    free(row);
    free(levels);
}

static void pack_whole(Tensors *tensors, Product *product, int32_t precision, const nmt_tensor *weight,
                       const nmt_tensor *bias) {
    Columns all = {weight, product->inputs, 0, product->inputs};
    pack_product(tensors, product, precision, &all, 1, bias, NULL);
}

/* Pack a layer. The first `skipped` inputs and the bias of the inputs are in the table of embeddings. */
static void pack_layer(Tensors *tensors, Layer *layer, int32_t precision, int32_t inputs, int32_t skipped) {
    const nmt_tensor *input = next(tensors), *recurrent = next(tensors), *bias = next(tensors),
                     *recurrent_bias = next(tensors);
    Columns parts[2] = {{input, skipped + inputs, skipped, inputs}, {recurrent, layer->size, 0, layer->size}};
    const nmt_tensor *own = skipped ? NULL : bias;
    if (layer->joint) {
        pack_product(tensors, &layer->recurrent, precision, parts, 2, recurrent_bias, own);
        return;
    }
    if (inputs) pack_product(tensors, &layer->input, precision, parts, 1, own, NULL);
    pack_product(tensors, &layer->recurrent, precision, parts + 1, 1, recurrent_bias, NULL);
}

static void pack_norm(Tensors *tensors, Norm *norm, int32_t size) {
    if (!norm->gain) return;
    read_row(tensors, next(tensors), 0, size, 0, size, (float *)norm->gain);
    read_row(tensors, next(tensors), 0, size, 0, size, (float *)norm->bias);
}

static void pack_embeddings(Tensors *tensors, Embeddings *embeddings, const nmt_architecture *a, int32_t count,
                            const nmt_tensor *weight) {
    int32_t E = a->embedding_size;
    float *row = calloc(E, sizeof *row);
    if (!row) {
        tensors->status = NMT_NO_MEMORY;
        return;
    }
    int finite = 1;
    for (int64_t v = 0; v < count; v++) {
        read_row(tensors, weight, v, E, 0, E, row);
        finite &= are_finite(row, E);
        for (int32_t i = 0; i < E; i++) row[i] *= a->embedding_scale;
        if (a->precision == NMT_FLOAT32) {
            memcpy((float *)embeddings->rows + v * E, row, E * sizeof *row);
            continue;
        }
        float scale = choose_scale(row, E, 127);
        quantize(row, E, scale, (int8_t *)embeddings->rows + v * E);
        ((float *)embeddings->scales)[v] = scale;
    }
    if (!finite) tensors->status = NMT_NOT_A_NUMBER;
    free(row);
}

/* Compute W x + b for the embedding of a token, and write it into the table. `memory` has E + F floats. Return whether
   all numbers are finite. */
static int write_table_row(const LazyTable *lazy, const Table *table, const nmt_architecture *a, Tensors *tensors,
                           int32_t token, float *memory) {
    int32_t E = a->embedding_size, F = table->size;
    float *x = memory, *row = memory + E;
    read_row(tensors, &lazy->embedding, token, E, 0, E, x);
    for (int32_t e = 0; e < E; e++) x[e] *= a->embedding_scale;
    memcpy(row, lazy->bias, F * sizeof *row);
    nmt_add_product(x, lazy->matrix, 1, E, F, row);
    if (a->precision == NMT_FLOAT32) {
        memcpy((float *)table->rows + (int64_t)token * table->stride, row, F * sizeof *row);
        return are_finite(row, F);
    }
    float scale = choose_scale(row, F, 32767);
    int16_t *levels = (int16_t *)table->rows + (int64_t)token * table->stride;
    for (int32_t f = 0; f < F; f++) levels[f] = (int16_t)rintf(row[f] / scale);
    ((float *)table->scales)[token] = scale;
    return are_finite(row, F);
}

LazyTable *nmt_free_lazy(LazyTable *lazy) {
    if (lazy) free(lazy->matrix);
    if (lazy) free(lazy->bias);
    if (lazy) free(lazy->states);
    free(lazy);
    return NULL;
}

/* Prepare the computation of rows. `input` is W with other columns after those of the embedding. */
static LazyTable *prepare_table(Tensors *tensors, const nmt_network *network, const nmt_tensor *embedding,
                                const nmt_tensor *input, int32_t width, const nmt_tensor *bias) {
    const nmt_architecture *a = &network->architecture;
    int32_t E = a->embedding_size, F = network->table.size;
    LazyTable *lazy = calloc(1, sizeof *lazy);
    float *x = calloc(E, sizeof *x);
    if (lazy) {
        lazy->embedding = *embedding;
        lazy->matrix = calloc((int64_t)E * F, sizeof *lazy->matrix);
        lazy->bias = calloc(F, sizeof *lazy->bias);
        lazy->states = calloc(a->target_size, sizeof *lazy->states);
    }
    if (!lazy || !x || !lazy->matrix || !lazy->bias || !lazy->states) {
        tensors->status = NMT_NO_MEMORY;
        free(x);
        return nmt_free_lazy(lazy);
    }
    for (int32_t f = 0; f < F; f++) {
        read_row(tensors, input, f, width, 0, E, x);
        for (int32_t e = 0; e < E; e++) lazy->matrix[(int64_t)e * F + f] = x[e];
    }
    read_row(tensors, bias, 0, F, 0, F, lazy->bias);
    read_row(tensors, embedding, a->target_size - 1, E, 0, E, x); /* checks that all rows are there */
    free(x);
    return lazy;
}

/* Pack W x + b for every token's embedding x, or only prepare it if `kept` is not NULL. */
static void pack_table(Tensors *tensors, nmt_network *network, const nmt_tensor *embedding, const nmt_tensor *input,
                       int32_t width, const nmt_tensor *bias, LazyTable **kept) {
    const nmt_architecture *a = &network->architecture;
    Table *table = &network->table;
    int32_t E = a->embedding_size, F = table->size;
    if (!table->rows) {
        Columns columns = {input, width, 0, E};
        pack_embeddings(tensors, &network->target, a, a->target_size, embedding);
        pack_product(tensors, &table->product, a->precision, &columns, 1, bias, NULL);
        return;
    }
    LazyTable *lazy = prepare_table(tensors, network, embedding, input, width, bias);
    if (kept) {
        *kept = lazy;
        return;
    }
    float *memory = calloc((int64_t)E + F, sizeof *memory);
    int finite = 1;
    for (int32_t v = 0; lazy && memory && v < a->target_size; v++)
        finite &= write_table_row(lazy, table, a, tensors, v, memory);
    if (!memory)
        tensors->status = NMT_NO_MEMORY;
    else if (!finite)
        tensors->status = NMT_NOT_A_NUMBER;
    nmt_free_lazy(lazy);
    free(memory);
}

enum { ROW_MISSING, ROW_BEGUN, ROW_READY }; /* the states of the rows of a lazy table */

int nmt_fill_row(const nmt_network *network, int32_t token) {
    LazyTable *lazy = network->lazy;
    _Atomic unsigned char *state = &lazy->states[token];
    if (atomic_load_explicit(state, memory_order_acquire) == ROW_READY) return NMT_OK;
    const nmt_architecture *a = &network->architecture;
    float *memory = malloc(((size_t)a->embedding_size + network->table.size) * sizeof *memory);
    unsigned char missing = ROW_MISSING;
    if (!memory) return NMT_NO_MEMORY;
    if (atomic_compare_exchange_strong(state, &missing, ROW_BEGUN)) {
        Tensors tensors = {0};
        write_table_row(lazy, &network->table, a, &tensors, token, memory);
        atomic_store_explicit(state, ROW_READY, memory_order_release);
    }
    while (atomic_load_explicit(state, memory_order_acquire) != ROW_READY)
        sched_yield(); /* another thread computes it */
    free(memory);
    return NMT_OK;
}

static void pack_attention(Tensors *tensors, nmt_network *network) {
    const nmt_architecture *a = &network->architecture;
    Attention *attention = &network->attention;
    int32_t precision = a->precision;
    const nmt_tensor *weight, *bias;
    switch (a->attention) {
    case NMT_GENERAL:
        pack_whole(tensors, &attention->key, precision, next(tensors), NULL);
        break;
    case NMT_ADDITIVE:
        weight = next(tensors), bias = next(tensors);
        pack_whole(tensors, &attention->query, precision, weight, bias);
        pack_whole(tensors, &attention->key, precision, next(tensors), NULL);
        read_row(tensors, next(tensors), 0, a->decoder_size, 0, a->decoder_size, (float *)attention->score);
        break;
    case NMT_MULTI_HEAD: {
        Product *products[] = {&attention->query, &attention->key, &attention->value, &attention->output};
        for (int32_t i = 0; i < 4; i++) {
            weight = next(tensors), bias = next(tensors);
            pack_whole(tensors, products[i], precision, weight, bias);
        }
    }
    }
}

enum { GROUP = 16 }; /* rows that are multiplied together */

/* Pack the product of the embeddings (V, E) and the projection P (E, H) as the matrix of the output layer. */
static void pack_folded(Tensors *tensors, nmt_network *network, const nmt_tensor *embedding, const nmt_tensor *project,
                        const nmt_tensor *bias) {
    const nmt_architecture *a = &network->architecture;
    Product *output = &network->output;
    int32_t E = a->embedding_size, H = a->decoder_size, V = a->target_size, finite = 1;
    float *P = calloc((int64_t)E * H, sizeof *P), *x = calloc((int64_t)GROUP * E, sizeof *x);
    float *rows = calloc((int64_t)GROUP * H, sizeof *rows), *sum = (float *)output->bias;
    int8_t *levels = calloc(output->depth, sizeof *levels);
    if (P && x && rows && levels) {
        for (int32_t e = 0; e < E; e++) read_row(tensors, project, e, H, 0, H, P + (int64_t)e * H);
        for (int32_t v = 0; v < V; v += GROUP) {
            int32_t count = V - v < GROUP ? V - v : GROUP;
            for (int32_t n = 0; n < count; n++) read_row(tensors, embedding, v + n, E, 0, E, x + (int64_t)n * E);
            memset(rows, 0, (size_t)GROUP * H * sizeof *rows);
            nmt_add_product(x, P, count, E, H, rows);
            finite &= are_finite(rows, (int64_t)count * H);
            for (int32_t n = 0; n < count; n++) write_row(output, a->precision, v + n, rows + (int64_t)n * H, levels);
        }
        read_row(tensors, bias, 0, V, 0, V, sum);
        if (!finite || !are_finite(sum, V)) tensors->status = NMT_NOT_A_NUMBER;
    } else {
        tensors->status = NMT_NO_MEMORY;
    }
    free(P);
    free(x);
    free(rows);
    free(levels);
}

/* Pack the output layer. A projection P to the size of the embeddings is multiplied into it if the layout says so. */
static void pack_output(Tensors *tensors, nmt_network *network, const nmt_tensor *embedding) {
    const nmt_architecture *a = &network->architecture;
    Product *output = &network->output;
    const nmt_tensor *project = a->tied ? next(tensors) : NULL, *weight = a->tied ? embedding : next(tensors),
                     *bias = next(tensors);
    if (a->tied && !network->project.inputs) {
        pack_folded(tensors, network, embedding, project, bias);
    } else {
        if (a->tied) pack_whole(tensors, &network->project, a->precision, project, NULL);
        pack_whole(tensors, output, a->precision, weight, bias);
    }
    if (!network->output_rows) return;
    int64_t item = a->precision == NMT_INT8 ? 1 : sizeof(float), D = output->depth;
    int64_t group = a->precision == NMT_INT8 ? 4 : 1; /* adjacent inputs of an output */
    for (int64_t v = 0; v < a->target_size; v++) {
        const char *panel = (const char *)output->weights + (v / PANEL * PANEL * D + v % PANEL * group) * item;
        for (int64_t k = 0; k < D; k += group)
            memcpy((char *)network->output_rows + (v * D + k) * item, panel + k * PANEL * item, group * item);
    }
}

int nmt_pack_network(const nmt_architecture *a, const nmt_tensor *given, int32_t count, const int32_t *frequent,
                     const int32_t *best, const char *metadata, int64_t metadata_size, void *packed, LazyTable **lazy) {
    nmt_network *network = malloc(sizeof *network);
    if (!network) return NMT_NO_MEMORY;
    int64_t size = nmt_lay_out(network, a, packed, metadata_size);
    if (!size) {
        free(network);
        return NMT_BAD_ARGUMENT;
    }
    FileHeader header = {.version = NMT_VERSION, .byte_order = 1, .metadata_size = metadata_size, .architecture = *a};
    memcpy(header.magic, MAGIC, sizeof header.magic);
    memcpy(packed, &header, sizeof header);
    if (metadata_size) memcpy((char *)network->metadata, metadata, metadata_size);

    Tensors tensors = {given, given + count, NMT_OK};
    int32_t E = a->embedding_size, C = a->encoder_size, H = a->decoder_size, p = a->precision;
    const nmt_tensor *source = next(&tensors), *target = next(&tensors);
    pack_embeddings(&tensors, &network->source, a, a->source_size, source);
    for (int32_t l = 0; l < a->encoder_layers; l++) {
        for (int32_t d = 0; d < 2; d++) pack_layer(&tensors, &network->encoder[l][d], p, l ? C : E, 0);
        pack_norm(&tensors, &network->encoder_norms[l], C);
    }
    if (a->bridge != NMT_BRIDGE_NONE) {
        const nmt_tensor *weight = next(&tensors), *bias = next(&tensors);
        pack_whole(&tensors, &network->bridge, p, weight, bias);
    }
    for (int32_t l = 0; l < a->decoder_layers; l++) {
        const nmt_tensor *input = tensors.next, *bias = tensors.next + 2;
        int32_t inputs = a->decoder == NMT_INPUT_FEEDING ? H : l ? H + C : 0;
        if (!l && tensors.end - tensors.next >= 4) pack_table(&tensors, network, target, input, E + inputs, bias, lazy);
        pack_layer(&tensors, &network->decoder[l], p, inputs, l ? 0 : E);
        pack_norm(&tensors, &network->decoder_norms[l], H);
    }
    pack_attention(&tensors, network);
    const nmt_tensor *combine = next(&tensors), *bias = next(&tensors);
    Columns context = {combine, C + H, 0, C}, hidden = {combine, C + H, C, H}, all = {combine, C + H, 0, C + H};
    if (network->attention.folded) pack_product(&tensors, &network->attention.value, p, &context, 1, NULL, NULL);
    pack_product(&tensors, &network->combine, p, network->attention.folded ? &hidden : &all, 1, bias, NULL);
    pack_output(&tensors, network, target);
    if (network->frequent) {
        memcpy((void *)network->frequent, frequent, a->frequent * sizeof *frequent);
        memcpy((void *)network->best, best, (int64_t)a->source_size * a->best * sizeof *best);
    }
    free(network);
    if (tensors.status == NMT_OK && tensors.next != tensors.end) return NMT_BAD_ARGUMENT;
    return tensors.status;
}

NMT_API int nmt_pack(const nmt_architecture *architecture, const nmt_tensor *tensors, int32_t count,
                     const int32_t *frequent, const int32_t *best, const char *metadata, int64_t metadata_size,
                     void *packed) {
    return nmt_pack_network(architecture, tensors, count, frequent, best, metadata, metadata_size, packed, NULL);
}
