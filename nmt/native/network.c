/* The layout of a packed network. The same function lays out the file that is written and the file that is read, so a
   file needs no table of offsets, and no offset can be wrong. */

#include "network.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64
#define SLACK 64 /* readable bytes after each array, because loops read whole vectors */
#define MAX_TABLE_BYTES (64LL << 20)
#define MAX_SIZE 65536
#define MAX_VOCABULARY 4000000

typedef struct {
    const char *base;
    int64_t used;
} Arena;

static const void *take(Arena *arena, int64_t count, int64_t size) {
    const void *place = arena->base ? arena->base + arena->used : NULL;
    arena->used += (count * size + SLACK + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return place;
}

static void lay_out_product(Product *product, Arena *arena, int32_t precision, int32_t inputs, int32_t outputs,
                            int32_t bounded) {
    int32_t depth = precision == NMT_INT8 ? round_up(inputs, 4) : inputs, width = round_up(outputs, PANEL);
    *product = (Product){.inputs = inputs, .outputs = outputs, .depth = depth, .width = width, .bounded = bounded};
    product->weights = take(arena, (int64_t)depth * width, precision == NMT_INT8 ? 1 : sizeof(float));
    if (precision == NMT_INT8) {
        product->scales = take(arena, width, sizeof(float));
        product->sums = take(arena, width, sizeof(int32_t));
    }
    product->bias = take(arena, width, sizeof(float));
}

static void lay_out_layer(Layer *layer, Arena *arena, const nmt_architecture *a, int32_t inputs, int32_t size,
                          int32_t bounded) {
    *layer = (Layer){.size = size, .gates = a->cell == NMT_LSTM ? 4 : a->cell == NMT_GRU ? 3 : 1};
    /* One product is faster than two. A GRU needs W x and U h separately, and other inputs need other scales. */
    layer->joint = inputs && bounded && a->cell != NMT_GRU;
    if (inputs && !layer->joint)
        lay_out_product(&layer->input, arena, a->precision, inputs, layer->gates * size, bounded);
    lay_out_product(&layer->recurrent, arena, a->precision, size + (layer->joint ? inputs : 0), layer->gates * size, 1);
}

static void lay_out_embeddings(Embeddings *embeddings, Arena *arena, const nmt_architecture *a, int32_t tokens) {
    embeddings->size = a->embedding_size;
    embeddings->rows = take(arena, (int64_t)tokens * a->embedding_size, a->precision == NMT_INT8 ? 1 : sizeof(float));
    if (a->precision == NMT_INT8) embeddings->scales = take(arena, tokens, sizeof(float));
}

static void lay_out_norm(Norm *norm, Arena *arena, const nmt_architecture *a, int32_t size) {
    if (!a->layer_norm) return;
    norm->gain = take(arena, size, sizeof(float));
    norm->bias = take(arena, size, sizeof(float));
}

static void lay_out_table(nmt_network *network, Arena *arena, const nmt_architecture *a) {
    Table *table = &network->table;
    int64_t cell = a->precision == NMT_INT8 ? sizeof(int16_t) : sizeof(float);
    table->size = network->decoder[0].gates * a->decoder_size;
    table->stride = round_up(table->size, 16);
    if (cell * table->stride * a->target_size <= MAX_TABLE_BYTES) {
        table->rows = take(arena, (int64_t)table->stride * a->target_size, cell);
        if (a->precision == NMT_INT8) table->scales = take(arena, a->target_size, sizeof(float));
        return;
    }
    lay_out_embeddings(&network->target, arena, a, a->target_size);
    lay_out_product(&table->product, arena, a->precision, a->embedding_size, table->size, 0);
}

static void lay_out_attention(nmt_network *network, Arena *arena, const nmt_architecture *a) {
    Attention *attention = &network->attention;
    int32_t C = a->encoder_size, H = a->decoder_size, p = a->precision, outputs = network->encoder_bounded;
    int32_t query = network->hidden_bounded[a->decoder == NMT_INPUT_FEEDING ? a->decoder_layers - 1 : 0];
    attention->folded = a->attention != NMT_MULTI_HEAD && (a->decoder == NMT_INPUT_FEEDING || a->decoder_layers == 1);
    attention->key_size = a->attention == NMT_DOT ? C : H;
    attention->value_size = attention->folded || a->attention == NMT_MULTI_HEAD ? H : C;
    attention->context_size = attention->folded ? H : C;
    if (a->attention != NMT_DOT) lay_out_product(&attention->key, arena, p, C, H, outputs);
    if (attention->value_size == H && (attention->folded || a->attention == NMT_MULTI_HEAD))
        lay_out_product(&attention->value, arena, p, C, H, outputs);
    if (a->attention == NMT_ADDITIVE || a->attention == NMT_MULTI_HEAD)
        lay_out_product(&attention->query, arena, p, H, H, query);
    if (a->attention == NMT_ADDITIVE) attention->score = take(arena, H, sizeof(float));
    if (a->attention == NMT_MULTI_HEAD) lay_out_product(&attention->output, arena, p, H, C, 0);
}

static int in_range(int32_t number, int32_t lowest, int32_t highest) { return number >= lowest && number <= highest; }

static int is_supported(const nmt_architecture *a) {
    return in_range(a->precision, NMT_INT8, NMT_FLOAT32) && in_range(a->cell, NMT_LSTM, NMT_RNN) &&
           in_range(a->decoder, NMT_INPUT_FEEDING, NMT_PARALLEL) && in_range(a->attention, NMT_DOT, NMT_MULTI_HEAD) &&
           in_range(a->attention_heads, 1, 1024) && in_range(a->bridge, NMT_BRIDGE_NONE, NMT_BRIDGE_MEAN) &&
           in_range(a->layer_norm, 0, 1) && in_range(a->residual, 0, 1) && in_range(a->tied, 0, 1) &&
           in_range(a->source_size, NMT_EOS + 1, MAX_VOCABULARY) &&
           in_range(a->target_size, NMT_EOS + 1, MAX_VOCABULARY) && in_range(a->embedding_size, 1, MAX_SIZE) &&
           in_range(a->encoder_layers, 1, MAX_LAYERS) && in_range(a->decoder_layers, 1, MAX_LAYERS) &&
           in_range(a->encoder_size, 2, MAX_SIZE) && a->encoder_size % 2 == 0 &&
           in_range(a->decoder_size, 1, MAX_SIZE) && in_range(a->frequent, 0, a->target_size) &&
           in_range(a->best, 0, 4096) && a->embedding_scale > 0 && a->embedding_scale <= 1000 &&
           (a->attention != NMT_DOT || a->encoder_size == a->decoder_size) &&
           (a->attention != NMT_MULTI_HEAD || a->decoder_size % a->attention_heads == 0);
}

int64_t nmt_lay_out(nmt_network *network, const nmt_architecture *a, const char *base, int64_t metadata_size) {
    memset(network, 0, sizeof *network);
    if (!is_supported(a) || metadata_size < 0 || metadata_size > (64 << 20)) return 0;
    network->architecture = *a;
    Arena arena = {.base = base};
    take(&arena, 1, sizeof(FileHeader));
    network->metadata = take(&arena, metadata_size, 1);
    network->metadata_size = metadata_size;

    int32_t E = a->embedding_size, C = a->encoder_size, H = a->decoder_size;
    network->states = a->cell == NMT_LSTM ? 2 : 1;
    lay_out_embeddings(&network->source, &arena, a, a->source_size);
    for (int32_t l = 0; l < a->encoder_layers; l++) {
        for (int32_t d = 0; d < 2; d++)
            lay_out_layer(&network->encoder[l][d], &arena, a, l ? C : E, C / 2, l ? network->encoder_bounded : 0);
        lay_out_norm(&network->encoder_norms[l], &arena, a, C);
        network->encoder_bounded = !a->layer_norm && !(l && a->residual);
    }
    for (int32_t l = 0; l < a->decoder_layers; l++) {
        network->hidden_bounded[l] = !a->layer_norm && !(l && a->residual);
        int32_t context = a->decoder == NMT_PARALLEL, inputs = l || !context ? H : 0, bounded = 1;
        if (l && context) inputs += C;
        if (l) bounded = network->hidden_bounded[l - 1];
        if (l && context) bounded = bounded && network->encoder_bounded && a->attention != NMT_MULTI_HEAD;
        lay_out_layer(&network->decoder[l], &arena, a, inputs, H, bounded);
        lay_out_norm(&network->decoder_norms[l], &arena, a, H);
    }
    lay_out_table(network, &arena, a);
    if (a->bridge != NMT_BRIDGE_NONE)
        lay_out_product(&network->bridge, &arena, a->precision, C, a->decoder_layers * network->states * H,
                        network->encoder_bounded);
    lay_out_attention(network, &arena, a);
    int32_t last = network->hidden_bounded[a->decoder_layers - 1];
    if (network->attention.folded)
        lay_out_product(&network->combine, &arena, a->precision, H, H, last);
    else
        lay_out_product(&network->combine, &arena, a->precision, C + H, H,
                        last && network->encoder_bounded && a->attention != NMT_MULTI_HEAD);
    /* The projection to the size of the embeddings is multiplied into the output layer where that is not larger. */
    int32_t inputs = a->tied && H > E ? E : H;
    if (inputs != H) lay_out_product(&network->project, &arena, a->precision, H, E, 1);
    lay_out_product(&network->output, &arena, a->precision, inputs, a->target_size, inputs == H);
    if (a->frequent || a->best) {
        network->output_rows =
            take(&arena, (int64_t)a->target_size * network->output.depth, a->precision == NMT_INT8 ? 1 : sizeof(float));
        network->frequent = take(&arena, a->frequent, sizeof(int32_t));
        network->best = take(&arena, (int64_t)a->source_size * a->best, sizeof(int32_t));
    }
    return arena.used;
}

NMT_API int64_t nmt_packed_size(const nmt_architecture *architecture, int64_t metadata_size) {
    nmt_network network;
    return nmt_lay_out(&network, architecture, NULL, metadata_size);
}

static int are_tokens(const int32_t *ids, int64_t count, int32_t size) {
    int32_t valid = 1;
    for (int64_t i = 0; i < count; i++) valid &= ids[i] >= NMT_EOS && ids[i] < size;
    return valid;
}

NMT_API int nmt_open(const void *packed, int64_t size, nmt_network **opened) {
    FileHeader header;
    *opened = NULL;
    if (size < (int64_t)sizeof header || (uintptr_t)packed % ALIGNMENT) return NMT_BAD_FILE;
    memcpy(&header, packed, sizeof header);
    if (memcmp(header.magic, MAGIC, sizeof header.magic) || header.version != NMT_VERSION || header.byte_order != 1)
        return NMT_BAD_FILE;
    nmt_network *network = malloc(sizeof *network);
    if (!network) return NMT_NO_MEMORY;
    const nmt_architecture *a = &header.architecture;
    if (nmt_lay_out(network, a, packed, header.metadata_size) != size ||
        (network->frequent && !(are_tokens(network->frequent, a->frequent, a->target_size) &&
                                are_tokens(network->best, (int64_t)a->best * a->source_size, a->target_size)))) {
        free(network);
        return NMT_BAD_FILE;
    }
    *opened = network;
    return NMT_OK;
}

NMT_API void nmt_close(nmt_network *network) { free(network); }

NMT_API const char *nmt_metadata(const nmt_network *network, int64_t *size) {
    *size = network->metadata_size;
    return network->metadata;
}
