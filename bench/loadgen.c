/* loadgen: sends HTTP/1.1 requests over kept-alive connections, compares every answer, and tells how long they took.
 *
 *   loadgen --port P --plan FILE --connections C (--seconds S | --requests N) [--rate R] [--slice S] [--seed N]
 *
 * Without --rate each connection sends its next request when the answer to the last one is in (fixed concurrency).
 * With --rate requests are due at fixed instants whatever the answers do (open loop); their latency counts from the
 * instant at which they were due, so that waiting for a free connection is part of it.
 *
 * The plan (written by bench/generator.py) is a list of steps, taken in turn: the bytes to send, the status to expect,
 * and how to check the body: 0 not at all, 1 the same bytes, 2 these bytes occur in it. Twelve '@' in a row in the
 * bytes to send stand for the next number of a counter, as hexadecimal digits, so that a body can differ each time.
 *
 * Prints one JSON object. `per_second` counts the answers with the expected status. `errors` are answers with another status, broken connections and requests without an answer;
 * `wrong` are answers with the right status and another body. Percentiles are exact (all latencies are kept) and cover
 * the answers with the expected status; `statuses` tells the same for every status that was seen.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define BLANK "@@@@@@@@@@@@"
#define BLANK_LENGTH 12
#define PATIENCE_NS 30000000000ull /* how long the last answers are waited for */

enum check { NOTHING, SAME_BYTES, CONTAINS };

struct step {
    char *request, *expected;
    uint32_t length, expected_length, status, check;
};

struct connection {
    int fd, busy;
    const struct step *step;
    char *out, *in;
    size_t out_length, out_capacity, sent, in_length, in_capacity;
    uint64_t due;
};

struct sample {
    uint32_t slice;
    uint16_t status;
    uint8_t expected, retry_after;
    uint64_t latency;
};

static struct step *steps;
static uint32_t step_count;
static struct connection *connections;
static int connection_count = 1, port, poller, timer = -1;
static double seconds, rate, slice_seconds;
static uint64_t limit = UINT64_MAX, issued, counter, begun, ends, last_answer;
static struct sample *samples;
static size_t sample_count, sample_capacity;
static uint64_t wrong, errors, reconnects;
static char first_wrong[400];

static void fail(const char *sentence) {
    fprintf(stderr, "loadgen: %s\n", sentence);
    exit(1);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void *grown(void *place, size_t *capacity, size_t wanted, size_t size) {
    if (wanted <= *capacity) return place;
    *capacity = wanted * 2;
    if (!(place = realloc(place, *capacity * size))) fail("out of memory");
    return place;
}

/* --- the plan --- */

static uint32_t read_number(FILE *file) {
    uint32_t number;
    if (fread(&number, 4, 1, file) != 1) fail("the plan ends too early");
    return number;
}

static char *read_bytes(FILE *file, uint32_t *length) {
    *length = read_number(file);
    char *bytes = calloc(1, (size_t)*length + 1);
    if (!bytes || fread(bytes, 1, *length, file) != *length) fail("the plan ends too early");
    return bytes;
}

static void read_plan(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail("the plan cannot be opened");
    step_count = read_number(file);
    steps = calloc(step_count, sizeof *steps);
    if (!step_count || !steps) fail("the plan is empty");
    for (uint32_t i = 0; i < step_count; i++) {
        steps[i].request = read_bytes(file, &steps[i].length);
        steps[i].status = read_number(file);
        steps[i].check = read_number(file);
        steps[i].expected = read_bytes(file, &steps[i].expected_length);
    }
    fclose(file);
}

/* --- connections --- */

static void open_connection(struct connection *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int attempt = 0;; attempt++) {
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (c->fd >= 0 && connect(c->fd, (struct sockaddr *)&address, sizeof address) == 0) break;
        if (c->fd < 0 || attempt == 2000) fail("cannot connect");
        close(c->fd);
        usleep(1000); /* a server that restarts; the wait shows in the latencies */
    }
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event)) fail("epoll refuses a connection");
}

static void reopen(struct connection *c) {
    close(c->fd);
    reconnects++;
    open_connection(c);
}

static void go_on_sending(struct connection *c) {
    while (c->sent < c->out_length) {
        ssize_t n = send(c->fd, c->out + c->sent, c->out_length - c->sent, MSG_NOSIGNAL);
        if (n < 0) return; /* full: epoll tells when it goes on; broken: reading tells */
        c->sent += (size_t)n;
    }
}

static void send_next(struct connection *c, uint64_t due) {
    const struct step *step = &steps[issued++ % step_count];
    c->out = grown(c->out, &c->out_capacity, step->length, 1);
    memcpy(c->out, step->request, step->length);
    char *place = c->out, digits[BLANK_LENGTH + 1];
    while ((place = memmem(place, step->length - (size_t)(place - c->out), BLANK, BLANK_LENGTH))) {
        snprintf(digits, sizeof digits, "%012llx", (unsigned long long)counter++ & 0xffffffffffffull);
        memcpy(place, digits, BLANK_LENGTH);
    }
    c->step = step;
    c->out_length = step->length;
    c->sent = c->in_length = 0;
    c->due = due;
    c->busy = 1;
    go_on_sending(c);
}

static uint64_t due_at(uint64_t number) { return begun + (uint64_t)((double)number / rate * 1e9); }

static int has_next(uint64_t moment) {
    if (issued >= limit) return 0;
    if (rate > 0) return due_at(issued) <= moment && due_at(issued) < ends;
    return moment < ends;
}

static void issue(struct connection *c) {
    uint64_t moment = now();
    if (!c->busy && has_next(moment)) send_next(c, rate > 0 ? due_at(issued) : moment);
}

/* --- answers --- */

/* Keeps the beginning of the first body that should not have come, for whoever looks for the reason. */
static void note(const char *body, size_t length) {
    if (first_wrong[0]) return;
    size_t shown = length < 150 ? length : 150, used = 0;
    for (size_t i = 0; i < shown && used < sizeof first_wrong - 1; i++)
        first_wrong[used++] = body[i] < ' ' || body[i] > '~' || body[i] == '"' || body[i] == '\\' ? '.' : body[i];
    first_wrong[used] = 0;
}

static int is_right(const struct step *step, const char *body, size_t length) {
    if (step->check == SAME_BYTES)
        return length == step->expected_length && memcmp(body, step->expected, length) == 0;
    if (step->check == CONTAINS) return memmem(body, length, step->expected, step->expected_length) != NULL;
    return 1;
}

static void finish(struct connection *c, uint32_t status, int retry_after, const char *body, size_t length) {
    uint64_t moment = now();
    samples = grown(samples, &sample_capacity, sample_count + 1, sizeof *samples);
    struct sample *s = &samples[sample_count++];
    s->slice = slice_seconds > 0 ? (uint32_t)((double)(c->due - begun) / 1e9 / slice_seconds) : 0;
    s->status = (uint16_t)status;
    s->expected = status == c->step->status;
    s->retry_after = (uint8_t)retry_after;
    s->latency = moment - c->due;
    last_answer = moment;
    if (!s->expected) {
        errors++;
        note(body, length);
    } else if (!is_right(c->step, body, length)) {
        wrong++;
        note(body, length);
    }
    c->busy = 0;
}

/* Looks whether the answer is whole; 1 when it was, -1 when it cannot be read. */
static int take_answer(struct connection *c) {
    c->in[c->in_length] = 0;
    char *end = memmem(c->in, c->in_length, "\r\n\r\n", 4);
    if (!end) return 0;
    end[2] = 0; /* the headers as one text, for as long as they are read */
    uint32_t status = (uint32_t)strtoul(c->in + 9, NULL, 10);
    const char *length_line = strcasestr(c->in, "\r\ncontent-length:");
    int retry_after = strcasestr(c->in, "\r\nretry-after:") != NULL;
    int closes = strcasestr(c->in, "\r\nconnection: close") != NULL;
    end[2] = '\r';
    size_t length = 0, head = (size_t)(end - c->in) + 4;
    if (status != 304 && status != 204) {
        if (!length_line) return -1; /* chunked answers are not read */
        length = strtoul(length_line + 17, NULL, 10);
    }
    if (c->in_length < head + length) return 0;
    finish(c, status, retry_after, c->in + head, length);
    if (closes) reopen(c);
    return 1;
}

static void receive(struct connection *c) {
    for (;;) {
        c->in = grown(c->in, &c->in_capacity, c->in_length + 16384, 1);
        ssize_t n = recv(c->fd, c->in + c->in_length, c->in_capacity - c->in_length - 1, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n > 0) c->in_length += (size_t)n;
        int taken = n > 0 && c->busy ? take_answer(c) : 0;
        if (taken < 0) note("an answer without Content-Length", 32);
        if (n <= 0 || taken < 0) {
            if (c->busy) errors++, c->busy = 0;
            reopen(c);
            return;
        }
        if (taken) return;
    }
}

/* --- the run --- */

static void set_timer(void) {
    if (timer < 0 || issued >= limit || due_at(issued) >= ends) return;
    uint64_t at = due_at(issued);
    struct itimerspec when = {.it_value = {(time_t)(at / 1000000000ull), (long)(at % 1000000000ull)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static int busy_connections(void) {
    int busy = 0;
    for (int i = 0; i < connection_count; i++) busy += connections[i].busy;
    return busy;
}

static int is_over(uint64_t moment) {
    int more = issued < limit && (rate > 0 ? due_at(issued) < ends : moment < ends);
    return (!more && !busy_connections()) || moment > ends + PATIENCE_NS;
}

static void serve_due(void) {
    for (int i = 0; i < connection_count && has_next(now()); i++) issue(&connections[i]);
    set_timer();
}

static void run(void) {
    struct epoll_event events[256];
    begun = last_answer = now();
    ends = seconds > 0 ? begun + (uint64_t)(seconds * 1e9) : begun + 10 * PATIENCE_NS;
    for (int i = 0; i < connection_count; i++) issue(&connections[i]);
    set_timer();
    while (!is_over(now())) {
        int n = epoll_wait(poller, events, 256, 100);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                uint64_t expirations;
                if (read(timer, &expirations, 8) < 0) errno = 0; /* read only so that it can ring again */
                continue;
            }
            if (events[i].events & EPOLLOUT && c->busy) go_on_sending(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
            if (rate <= 0) issue(c);
        }
        if (rate > 0) serve_due();
    }
    errors += (uint64_t)busy_connections();
}

/* --- the report --- */

static int by_latency(const void *a, const void *b) {
    const struct sample *x = a, *y = b;
    return x->latency < y->latency ? -1 : x->latency > y->latency;
}
static int by_status(const void *a, const void *b) {
    const struct sample *x = a, *y = b;
    return x->status != y->status ? (x->status < y->status ? -1 : 1) : by_latency(a, b);
}
static int by_slice(const void *a, const void *b) {
    const struct sample *x = a, *y = b;
    return x->slice != y->slice ? (x->slice < y->slice ? -1 : 1) : by_latency(a, b);
}

static double at(const struct sample *sorted, size_t count, double share) {
    return count ? (double)sorted[(size_t)(share * (double)(count - 1) + 0.5)].latency / 1e6 : 0;
}

static void print_figures(const struct sample *sorted, size_t count) {
    size_t with_retry_after = 0;
    for (size_t i = 0; i < count; i++) with_retry_after += sorted[i].retry_after;
    printf("{\"count\": %zu, \"p50_ms\": %.4f, \"p90_ms\": %.4f, \"p99_ms\": %.4f, \"max_ms\": %.4f, \"retry_after\": %zu}",
           count, at(sorted, count, .5), at(sorted, count, .9), at(sorted, count, .99), at(sorted, count, 1), with_retry_after);
}

static void print_groups(int (*order)(const void *, const void *), int is_status) {
    qsort(samples, sample_count, sizeof *samples, order);
    for (size_t i = 0, j; i < sample_count; i = j) {
        for (j = i; j < sample_count && (is_status ? samples[j].status == samples[i].status : samples[j].slice == samples[i].slice);) j++;
        printf("%s\"%u\": ", i ? ", " : "", is_status ? samples[i].status : samples[i].slice);
        print_figures(samples + i, j - i);
    }
}

static void report(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double took = (double)(last_answer - begun) / 1e9;
    size_t good = 0;
    for (size_t i = 0; i < sample_count; i++) good += samples[i].expected;
    printf("{\"seconds\": %.4f, \"answers\": %zu, \"per_second\": %.2f, \"errors\": %llu, \"wrong\": %llu, \"reconnects\": %llu, ",
           took, sample_count, took > 0 ? (double)good / took : 0, (unsigned long long)errors,
           (unsigned long long)wrong, (unsigned long long)reconnects);
    printf("\"cpu_seconds\": %.4f, \"first_wrong\": \"%s\", \"statuses\": {",
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6, first_wrong);
    print_groups(by_status, 1);
    printf("}, \"slices\": {");
    print_groups(by_slice, 0);
    good = 0;
    for (size_t i = 0; i < sample_count; i++) if (samples[i].expected) samples[good++] = samples[i];
    qsort(samples, good, sizeof *samples, by_latency);
    printf("}, \"expected\": ");
    print_figures(samples, good);
    printf("}\n");
}

int main(int argc, char **argv) {
    const char *plan = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "--port")) port = atoi(value);
        else if (!strcmp(name, "--plan")) plan = value;
        else if (!strcmp(name, "--connections")) connection_count = atoi(value);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else if (!strcmp(name, "--requests")) limit = strtoull(value, NULL, 10);
        else if (!strcmp(name, "--rate")) rate = atof(value);
        else if (!strcmp(name, "--slice")) slice_seconds = atof(value);
        else if (!strcmp(name, "--seed")) counter = strtoull(value, NULL, 10);
        else fail("unknown option; see the top of loadgen.c");
    }
    if (!plan || !port || connection_count < 1 || (seconds <= 0 && limit == UINT64_MAX)) fail("see the top of loadgen.c");
    read_plan(plan);
    poller = epoll_create1(0);
    connections = calloc((size_t)connection_count, sizeof *connections);
    if (poller < 0 || !connections) fail("out of memory");
    for (int i = 0; i < connection_count; i++) open_connection(&connections[i]);
    if (rate > 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
        timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        if (timer < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event)) fail("no timer");
    }
    run();
    report();
    return 0;
}
