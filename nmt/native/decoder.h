/* One step of the decoder, for the hypotheses of several sentences. */

#ifndef NMT_DECODER_H
#define NMT_DECODER_H

#include "attention.h"
#include "encoder.h"

/* Floats with one row for each hypothesis. */
typedef struct {
    float *rows;
    int32_t stride;
} Matrix;

INLINE float *row_of(Matrix matrix, int32_t n) { return matrix.rows + (size_t)n * matrix.stride; }

static Matrix make_matrix(Buffer *buffer, int32_t N, int32_t stride, int *status) {
    return (Matrix){.rows = reserve(buffer, (size_t)N * stride, sizeof(float), status), .stride = stride};
}

/* Read W x + b for the embedding of a token from the table. */
static void read_table(const Table *table, int32_t precision, int32_t token, float *out) {
    if (precision == NMT_FLOAT32) {
        memcpy(out, (const float *)table->rows + (size_t)token * table->stride, table->stride * sizeof *out);
        return;
    }
    const int16_t *levels = (const int16_t *)table->rows + (size_t)token * table->stride;
    float scale = table->scales[token];
    for (int32_t i = 0; i < table->stride; i++) out[i] = (float)levels[i] * scale;
}

/* Compute W x + b of the first layer for the embeddings of N tokens. */
static Matrix embed(Member *member, const int32_t *tokens, int32_t N, int *status) {
    const nmt_network *network = member->network;
    const Table *table = &network->table;
    Matrix embedded = make_matrix(&member->embedded, N, table->rows ? table->stride : table->product.width, status);
    if (*status) return embedded;
    for (int32_t n = 0; network->lazy && n < N && !*status; n++) *status = nmt_fill_row(network, tokens[n]);
    if (*status) return embedded;
    if (table->rows) {
        for (int32_t n = 0; n < N; n++)
            read_table(table, network->architecture.precision, tokens[n], row_of(embedded, n));
        return embedded;
    }
    Rows rows = make_rows(network, &table->product, N, &member->inputs, &member->input_scales, status);
    if (*status) return embedded;
    write_embeddings(network, &network->target, tokens, N, &rows, 0);
    multiply(network, &table->product, &rows, N, embedded.rows, embedded.stride);
    return embedded;
}

/* Compute what a layer adds to U h: W x + b of its inputs, without the inputs of a joint layer.

   `embedded` is W x + b of the embeddings, in the first layer, whose other input is the attentional vector. `inputs`
   are the inputs of a layer above the first. */
static Matrix add_inputs(Member *member, int32_t l, Matrix embedded, Matrix inputs, int32_t N, int *status) {
    const nmt_network *network = member->network;
    const Layer *layer = &network->decoder[l];
    int32_t F = layer->gates * layer->size;
    if (!layer->input.inputs && !l) return embedded;
    Matrix added = make_matrix(&member->added, N, round_up(F, PANEL), status);
    if (*status) return added;
    if (layer->joint) {
        memset(added.rows, 0, (size_t)N * added.stride * sizeof(float));
        return added;
    }
    Rows rows = make_rows(network, &layer->input, N, &member->inputs, &member->input_scales, status);
    if (*status) return added;
    const char *states = member->states[0].data;
    for (int32_t n = 0; n < N; n++) {
        if (l)
            write_row(network, &layer->input, row_of(inputs, n), &rows, n);
        else
            memcpy(row_at(network, &rows, n, 0), states + n * member->state_size + member->feed,
                   layer->size * element_size(network));
    }
    multiply(network, &layer->input, &rows, N, added.rows, added.stride);
    for (int32_t n = 0; !l && n < N; n++)
        for (int32_t i = 0; i < F; i++) row_of(added, n)[i] += row_of(embedded, n)[i];
    return added;
}

/* Compute a step of layer l. The states are changed in place. Return the outputs, (N, H). */
static Matrix step_layer(Member *member, int32_t l, Matrix embedded, Matrix inputs, Matrix below, int32_t N,
                         int *status) {
    const nmt_network *network = member->network;
    const Layer *layer = &network->decoder[l];
    size_t element = element_size(network);
    int32_t H = layer->size, joined = layer->joint ? layer->recurrent.inputs - H : 0;
    Matrix hidden = make_matrix(&member->outputs[l % 2], N, round_up(H, PARTS) + PARTS, status);
    Matrix added = add_inputs(member, l, embedded, inputs, N, status);
    Matrix gates = make_matrix(&member->gates, N, layer->recurrent.width, status);
    Rows rows = make_rows(network, &layer->recurrent, N, &member->more_inputs, &member->more_scales, status);
    if (*status) return hidden;
    for (int32_t n = 0; n < N; n++) {
        const char *state = (char *)member->states[0].data + n * member->state_size;
        char *row = row_at(network, &rows, n, 0);
        if (joined && l)
            write_bounded(network, row_of(inputs, n), joined, row);
        else if (joined)
            memcpy(row, state + member->feed, joined * element);
        memcpy(row + joined * element, state + member->levels[l], H * element);
    }
    multiply(network, &layer->recurrent, &rows, N, gates.rows, gates.stride);
    for (int32_t n = 0; n < N; n++) {
        char *state = (char *)member->states[0].data + n * member->state_size;
        float *h = row_of(hidden, n);
        step_cell(network->architecture.cell, row_of(added, n), row_of(gates, n), H,
                  (float *)(state + member->cells[l]), h);
        write_bounded(network, h, H, state + member->levels[l]);
        normalize(&network->decoder_norms[l], h, H);
        for (int32_t i = 0; l && network->architecture.residual && i < H; i++) h[i] += row_of(below, n)[i];
    }
    return hidden;
}

/* Join two vectors of each hypothesis. */
static Matrix join(Member *member, Matrix first, int32_t size, Matrix second, int32_t more, int32_t N, int *status) {
    Matrix joined = make_matrix(&member->joined, N, round_up(size + more, PARTS) + PARTS, status);
    for (int32_t n = 0; !*status && n < N; n++) {
        memcpy(row_of(joined, n), row_of(first, n), size * sizeof(float));
        memcpy(row_of(joined, n) + size, row_of(second, n), more * sizeof(float));
    }
    return joined;
}

/* Compute the attentional vectors h̃ = tanh(W [c; h] + b), and from them the rows that the output layer reads. */
static Rows combine(Member *member, Matrix hidden, Matrix context, int32_t N, int *status) {
    const nmt_network *network = member->network;
    const nmt_architecture *a = &network->architecture;
    int32_t H = a->decoder_size, C = a->encoder_size, folded = network->attention.folded;
    Matrix inputs = folded ? hidden : join(member, context, C, hidden, H, N, status);
    Matrix vectors = {.rows = multiply_floats(network, &network->combine, inputs.rows, inputs.stride, N,
                                              &member->inputs, &member->input_scales, &member->gates, status),
                      .stride = network->combine.width};
    const Product *reader = network->project.inputs ? &network->project : &network->output;
    Rows rows = make_rows(network, reader, N, &member->vectors, &member->vector_scales, status);
    if (*status) return rows;
    for (int32_t n = 0; n < N; n++) {
        float *vector = row_of(vectors, n);
        for (int32_t i = 0; folded && i < H; i++) vector[i] += row_of(context, n)[i];
        apply_tanh(vector, H);
        char *row = row_at(network, &rows, n, 0);
        write_bounded(network, vector, H, row);
        if (a->decoder == NMT_INPUT_FEEDING)
            memcpy((char *)member->states[0].data + n * member->state_size + member->feed, row,
                   H * element_size(network));
    }
    if (reader == &network->output) return rows;
    Matrix projected = make_matrix(&member->gates, N, network->project.width, status);
    Rows result = make_rows(network, &network->output, N, &member->inputs, &member->input_scales, status);
    if (*status) return result;
    multiply(network, &network->project, &rows, N, projected.rows, projected.stride);
    for (int32_t n = 0; n < N; n++) write_row(network, &network->output, row_of(projected, n), &result, n);
    return result;
}

/* Append a token to each of N hypotheses, and return the rows that the output layer reads.

   The states in `member->states[0]` are changed in place. Hypothesis n belongs to sentence `sentences[n]`. `weights`
   receives its attention weights. */
static Rows step_decoder(Member *member, const int32_t *tokens, const int32_t *sentences, int32_t N, float *weights,
                         int32_t weight_stride, int *status) {
    const nmt_architecture *a = &member->network->architecture;
    int32_t feeding = a->decoder == NMT_INPUT_FEEDING, H = a->decoder_size;
    Matrix embedded = embed(member, tokens, N, status), hidden = {0}, context = {0}, inputs = {0};
    for (int32_t l = 0; l < a->decoder_layers && !*status; l++) {
        if (l) inputs = feeding ? hidden : join(member, hidden, H, context, a->encoder_size, N, status);
        if (!*status) hidden = step_layer(member, l, embedded, inputs, hidden, N, status);
        if (!*status && l == (feeding ? a->decoder_layers - 1 : 0))
            context.rows = attend_all(member, hidden.rows, hidden.stride, sentences, N, weights, weight_stride,
                                      &context.stride, status);
    }
    return *status ? (Rows){0} : combine(member, hidden, context, N, status);
}

#endif
