/* The encoder: source tokens to the memories that attention reads, and to the first states of the decoder. */

#ifndef NMT_ENCODER_H
#define NMT_ENCODER_H

#include "cells.h"
#include "member.h"

/* The sentences that are encoded together, the longest first. Their positions are numbered one sentence after the
   other: position s of sentence b is `begins[b] + s`. */
typedef struct {
    const nmt_sentence *const *sentences;
    int32_t count;
    const int32_t *begins; /* (count + 1) */
} Group;

/* Write the embeddings of tokens to rows. */
static void write_embeddings(const nmt_network *network, const Embeddings *embeddings, const int32_t *ids,
                             int32_t count, Rows *rows, int32_t first) {
    int32_t E = embeddings->size;
    for (int32_t i = 0; i < count; i++) {
        char *row = row_at(network, rows, first + i, 0);
        if (network->architecture.precision == NMT_FLOAT32) {
            memcpy(row, (const float *)embeddings->rows + (size_t)ids[i] * E, E * sizeof(float));
            continue;
        }
        const int8_t *levels = (const int8_t *)embeddings->rows + (size_t)ids[i] * E;
        for (int32_t e = 0; e < E; e++) ((Level *)row)[e] = (Level)(levels[e] + LEVEL_OFFSET);
        rows->scales[first + i] = embeddings->scales[ids[i]];
    }
}

/* Run one direction of a layer over all sentences, from zero states.

   `inputs` are the inputs of a joint layer, one row for each position, and `added` is W x + b of each position for
   other layers. h is written to the columns of `outputs` that begin at `column`. */
static void run_direction(Member *member, const Group *group, const Layer *layer, int backward, const Rows *inputs,
                          const float *added, float *outputs, int32_t stride, int32_t column, int *status) {
    const nmt_network *network = member->network;
    int32_t size = layer->size, width = layer->recurrent.width, count = group->count;
    int32_t cell_stride = round_up(size, PARTS) + PARTS, added_stride = layer->joint ? 0 : layer->input.width;
    int32_t joined = layer->joint ? layer->recurrent.inputs - size : 0; /* elements of x in front of h */
    size_t element = element_size(network);
    Rows states = make_rows(network, &layer->recurrent, count, &member->more_inputs, &member->more_scales, status);
    float *gates = reserve(&member->joined, (size_t)count * width, sizeof(float), status);
    float *cells = reserve(&member->query, (size_t)count * cell_stride, sizeof(float), status);
    float *h = reserve(&member->context, cell_stride + (size_t)layer->gates * size, sizeof(float), status);
    if (*status) return;
    float *zeros = h + cell_stride;
    memset(cells, 0, (size_t)count * cell_stride * sizeof(float));
    memset(h, 0, (cell_stride + (size_t)layer->gates * size) * sizeof(float));
    for (int32_t b = 0; b < count; b++) write_bounded(network, h, size, row_at(network, &states, b, joined));
    if (layer->joint) added = zeros;
    for (int32_t t = 0, active = count; t < group->sentences[0]->length; t++) {
        while (group->sentences[active - 1]->length <= t) active--; /* the shortest sentences are the last */
        for (int32_t b = 0; b < active && joined; b++) {
            int32_t position = group->begins[b] + (backward ? group->sentences[b]->length - 1 - t : t);
            memcpy(row_at(network, &states, b, 0), row_at(network, inputs, position, 0), joined * element);
        }
        multiply(network, &layer->recurrent, &states, active, gates, width);
        for (int32_t b = 0; b < active; b++) {
            int32_t position = group->begins[b] + (backward ? group->sentences[b]->length - 1 - t : t);
            step_cell(network->architecture.cell, added + (size_t)position * added_stride, gates + (size_t)b * width,
                      size, cells + (size_t)b * cell_stride, h);
            write_bounded(network, h, size, row_at(network, &states, b, joined));
            memcpy(outputs + (size_t)position * stride + column, h, size * sizeof(float));
        }
    }
}

/* Compute the outputs of encoder layer l, (positions, C). `below` are the outputs of the layer below. */
static float *run_encoder_layer(Member *member, const Group *group, int32_t l, const float *below, int32_t stride,
                                int *status) {
    const nmt_network *network = member->network;
    const Layer *layers = network->encoder[l];
    int32_t T = group->begins[group->count], C = network->architecture.encoder_size;
    Product reader = layers->joint ? layers->recurrent : layers->input;
    if (layers->joint) reader.inputs = C; /* h follows in each step */
    float *outputs = reserve(&member->outputs[l % 2], (size_t)T * stride, sizeof(float), status);
    Rows inputs = make_rows(network, &reader, T, &member->inputs, &member->input_scales, status);
    if (*status) return NULL;
    for (int32_t b = 0; !l && b < group->count; b++)
        write_embeddings(network, &network->source, group->sentences[b]->ids, group->sentences[b]->length, &inputs,
                         group->begins[b]);
    for (int32_t position = 0; l && position < T; position++)
        write_row(network, &reader, below + (size_t)position * stride, &inputs, position);
    for (int32_t d = 0; d < 2; d++) {
        const Layer *layer = &layers[d];
        float *added = NULL;
        if (!layer->joint) {
            added = reserve(&member->added, (size_t)T * layer->input.width, sizeof(float), status);
            if (*status) return NULL;
            multiply(network, &layer->input, &inputs, T, added, layer->input.width);
        }
        run_direction(member, group, layer, d, &inputs, added, outputs, stride, d * layer->size, status);
        if (*status) return NULL;
    }
    for (int32_t position = 0; position < T; position++) {
        float *output = outputs + (size_t)position * stride;
        normalize(&network->encoder_norms[l], output, C);
        for (int32_t i = 0; l && network->architecture.residual && i < C; i++)
            output[i] += below[(size_t)position * stride + i];
    }
    return outputs;
}

/* Fill the memories of the sentences from the outputs of the encoder. */
static void fill_memories(Member *member, const Group *group, const float *outputs, int32_t stride, int *status) {
    const nmt_network *network = member->network;
    const Attention *attention = &network->attention;
    int32_t T = group->begins[group->count], A = attention->key_size, key_stride = stride, value_stride = stride;
    const float *keys = outputs, *values = outputs;
    if (attention->key.inputs) {
        keys = multiply_floats(network, &attention->key, outputs, stride, T, &member->inputs, &member->input_scales,
                               &member->gates, status);
        key_stride = attention->key.width;
    }
    if (attention->value.inputs) {
        values = multiply_floats(network, &attention->value, outputs, stride, T, &member->inputs, &member->input_scales,
                                 &member->added, status);
        value_stride = attention->value.width;
    }
    for (int32_t b = 0; b < group->count && !*status; b++) {
        Memory *memory = &member->memories[b];
        int32_t S = memory->length = group->sentences[b]->length, padded = memory->padded = round_up(S, PARTS);
        memory->value_stride = round_up(attention->value_size, PANEL);
        float *k = reserve(&memory->keys, (size_t)A * padded, sizeof(float), status);
        float *v = reserve(&memory->values, (size_t)S * memory->value_stride, sizeof(float), status);
        if (*status) return;
        for (int32_t s = 0; s < padded; s++) {
            const float *key = keys + (size_t)(group->begins[b] + s) * key_stride;
            for (int32_t i = 0; i < A; i++) k[(size_t)i * padded + s] = s < S ? key[i] : 0;
        }
        for (int32_t s = 0; s < S; s++)
            memcpy(v + (size_t)s * memory->value_stride, values + (size_t)(group->begins[b] + s) * value_stride,
                   attention->value_size * sizeof(float));
    }
}

/* Summarize the outputs of a sentence for the bridge: their mean, or the last output of each direction. */
static void summarize(const nmt_architecture *a, const float *outputs, int32_t stride, int32_t S, float *summary) {
    for (int32_t i = 0; i < a->encoder_size; i++) {
        if (a->bridge == NMT_BRIDGE_FINAL) {
            summary[i] = i < a->encoder_size / 2 ? outputs[(size_t)(S - 1) * stride + i] : outputs[i];
            continue;
        }
        float sum = 0;
        for (int32_t s = 0; s < S; s++) sum += outputs[(size_t)s * stride + i];
        summary[i] = sum / (float)S;
    }
}

/* Compute the first states of the decoder, one for each sentence. */
static void start_states(Member *member, const Group *group, const float *outputs, int32_t stride, int *status) {
    const nmt_network *network = member->network;
    const nmt_architecture *a = &network->architecture;
    int32_t H = a->decoder_size, blocks = network->states * H, width = round_up(a->decoder_layers * blocks, PANEL);
    char *states = reserve(&member->states[0], group->count, member->state_size, status);
    float *summaries = reserve(&member->query, (size_t)group->count * stride, sizeof(float), status);
    float *flat = reserve(&member->joined, (size_t)group->count * width, sizeof(float), status);
    float *zeros = reserve(&member->context, H, sizeof(float), status);
    if (*status) return;
    memset(flat, 0, (size_t)group->count * width * sizeof(float));
    memset(zeros, 0, H * sizeof(float));
    if (a->bridge != NMT_BRIDGE_NONE) {
        for (int32_t b = 0; b < group->count; b++)
            summarize(a, outputs + (size_t)group->begins[b] * stride, stride, group->sentences[b]->length,
                      summaries + (size_t)b * stride);
        flat = multiply_floats(network, &network->bridge, summaries, stride, group->count, &member->inputs,
                               &member->input_scales, &member->joined, status);
        if (*status) return;
        for (int32_t b = 0; b < group->count; b++) apply_tanh(flat + (size_t)b * width, a->decoder_layers * blocks);
    }
    for (int32_t b = 0; b < group->count; b++) {
        char *state = states + (size_t)b * member->state_size;
        for (int32_t l = 0; l < a->decoder_layers; l++) {
            const float *h = flat + (size_t)b * width + (size_t)l * blocks;
            write_bounded(network, h, H, state + member->levels[l]);
            if (a->cell != NMT_RNN)
                memcpy(state + member->cells[l], a->cell == NMT_LSTM ? h + H : h, H * sizeof(float));
        }
        if (a->decoder == NMT_INPUT_FEEDING) write_bounded(network, zeros, H, state + member->feed);
    }
}

/* Encode sentences, the longest first: fill their memories, and the first state of each. */
static void encode(Member *member, const nmt_sentence *const *sentences, int32_t count, int *status) {
    int32_t begins[count + 1], stride = round_up(member->network->architecture.encoder_size, PARTS) + PARTS;
    Group group = {.sentences = sentences, .count = count, .begins = begins};
    begins[0] = 0;
    for (int32_t b = 0; b < count; b++) begins[b + 1] = begins[b] + sentences[b]->length;
    const float *outputs = NULL;
    for (int32_t l = 0; l < member->network->architecture.encoder_layers && !*status; l++)
        outputs = run_encoder_layer(member, &group, l, outputs, stride, status);
    if (!*status) fill_memories(member, &group, outputs, stride, status);
    if (!*status) start_states(member, &group, outputs, stride, status);
}

#endif
