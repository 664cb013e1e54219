/*
 * A client of the engine that uses the reference's own libraries.
 *
 *   ring exchange MEMBERS COUNT SIZE...   all members send, all print what they got, in order, as a hash
 *   ring api                              prints what the services answer
 *   ring deaf                             joins a group and never reads
 *   ring die                              joins a group and dies without a word
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <corosync/cfg.h>
#include <corosync/cmap.h>
#include <corosync/corotypes.h>
#include <corosync/cpg.h>
#include <corosync/quorum.h>
#include <corosync/votequorum.h>

static uint32_t me;
/* Nodes with a process in the group. */
static unsigned int members;
static unsigned long received, damaged;
static uint64_t order = 14695981039346656037ull;
static unsigned int seen[1024];

static void hash(uint64_t value)
{
	for (int i = 0; i < 8; i++) {
		order ^= (value >> (8 * i)) & 255;
		order *= 1099511628211ull;
	}
}

static unsigned char pattern(uint32_t node, uint32_t number, size_t at)
{
	return (unsigned char)(node * 31 + number * 7 + at);
}

static void deliver(cpg_handle_t handle, const struct cpg_name *group, uint32_t node, uint32_t pid,
		    void *message, size_t length)
{
	const unsigned char *bytes = message;
	uint32_t number;

	(void)handle; (void)group; (void)pid;
	if (length < 8 || bytes[0] != 'm') {
		return;
	}
	memcpy(&number, bytes + 4, 4);
	for (size_t at = 8; at < length; at += 1 + length / 64) {
		if (bytes[at] != pattern(node, number, at)) {
			damaged++;
			break;
		}
	}
	if (node < 1024 && number != seen[node]++) {
		damaged++;
	}
	hash(node); hash(number); hash(length);
	received++;
}

static void change(cpg_handle_t handle, const struct cpg_name *group, const struct cpg_address *list,
		   size_t count, const struct cpg_address *left, size_t left_count,
		   const struct cpg_address *joined, size_t joined_count)
{
	(void)handle; (void)group; (void)left; (void)left_count; (void)joined; (void)joined_count;
	members = 0;
	for (size_t i = 0; i < count; i++) {
		size_t earlier = 0;

		while (earlier < i && list[earlier].nodeid != list[i].nodeid) {
			earlier++;
		}
		members += earlier == i;
	}
}

static void fail(const char *what, cs_error_t error)
{
	printf("%s: error %d\n", what, error);
	exit(1);
}

static void must(const char *what, cs_error_t error)
{
	if (error != CS_OK) {
		fail(what, error);
	}
}

static cpg_handle_t join(const char *name)
{
	static cpg_callbacks_t callbacks = { .cpg_deliver_fn = deliver, .cpg_confchg_fn = change };
	cpg_handle_t handle;
	struct cpg_name group;
	cs_error_t error;

	must("cpg_initialize", cpg_initialize(&handle, &callbacks));
	must("cpg_local_get", cpg_local_get(handle, &me));
	group.length = strlen(name);
	memcpy(group.value, name, group.length);
	while ((error = cpg_join(handle, &group)) == CS_ERR_TRY_AGAIN) {
		usleep(10000);
	}
	must("cpg_join", error);
	return handle;
}

static void serve(cpg_handle_t handle, int ms)
{
	struct pollfd fd = { .events = POLLIN };
	cs_error_t error;

	cpg_fd_get(handle, &fd.fd);
	if (ms > 0) {
		poll(&fd, 1, ms);
	}
	error = cpg_dispatch(handle, CS_DISPATCH_ALL);
	if (error != CS_OK && error != CS_ERR_TRY_AGAIN) {
		fail("cpg_dispatch", error);
	}
}

static int exchange(unsigned int wanted, unsigned int count, int sizes, char **size)
{
	cpg_handle_t handle = join("exchange");
	uint32_t number = 0;
	unsigned long total = (unsigned long)wanted * count * sizes;
	time_t end = time(NULL) + 90;

	while (members < wanted && time(NULL) < end) {
		serve(handle, 20);
	}
	for (unsigned int round = 0; round < count; round++) {
		for (int i = 0; i < sizes; i++) {
			size_t length = strtoul(size[i], NULL, 10);
			unsigned char *bytes = malloc(length);
			struct iovec part = { .iov_base = bytes, .iov_len = length };
			cs_error_t error;

			memset(bytes, 0, 8);
			bytes[0] = 'm';
			memcpy(bytes + 4, &number, 4);
			for (size_t at = 8; at < length; at++) {
				bytes[at] = pattern(me, number, at);
			}
			/* Interrupted: the group has changed between the pieces of a large message; nobody gets it. */
			do {
				error = cpg_mcast_joined(handle, CPG_TYPE_AGREED, &part, 1);
				if (error != CS_OK) {
					serve(handle, 1);
				}
			} while (error == CS_ERR_TRY_AGAIN || error == CS_ERR_INTERRUPT);
			must("cpg_mcast_joined", error);
			free(bytes);
			number++;
			serve(handle, 0);
		}
	}
	while (received < total && time(NULL) < end) {
		serve(handle, 20);
	}
	printf("received %lu of %lu damaged %lu order %016llx\n", received, total, damaged,
	       (unsigned long long)order);
	must("cpg_finalize", cpg_finalize(handle));
	return 0;
}

static void api_quorum(void)
{
	quorum_callbacks_t callbacks;
	quorum_handle_t handle;
	uint32_t type;
	int quorate;

	memset(&callbacks, 0, sizeof(callbacks));
	must("quorum_initialize", quorum_initialize(&handle, &callbacks, &type));
	must("quorum_getquorate", quorum_getquorate(handle, &quorate));
	printf("quorum type %u quorate %d\n", type, quorate);
	printf("trackstart %d\n", quorum_trackstart(handle, CS_TRACK_CHANGES));
	printf("trackstart again %d\n", quorum_trackstart(handle, CS_TRACK_CHANGES));
	printf("trackstop %d\n", quorum_trackstop(handle));
	must("quorum_finalize", quorum_finalize(handle));
}

static void api_votequorum(void)
{
	votequorum_callbacks_t callbacks;
	votequorum_handle_t handle;
	struct votequorum_info info;
	cs_error_t error;

	memset(&callbacks, 0, sizeof(callbacks));
	must("votequorum_initialize", votequorum_initialize(&handle, &callbacks));
	for (unsigned int node = 0; node <= 3; node++) {
		memset(&info, 0, sizeof(info));
		error = votequorum_getinfo(handle, node, &info);
		printf("info %u: %d node %u state %u votes %u expected %u highest %u total %u quorum %u flags %u\n",
		       node, error, info.node_id, info.node_state, info.node_votes, info.node_expected_votes,
		       info.highest_expected, info.total_votes, info.quorum, info.flags);
	}
	printf("setexpected 1: %d\n", votequorum_setexpected(handle, 1));
	printf("setvotes of nobody: %d\n", votequorum_setvotes(handle, 99, 1));
	printf("device poll: %d\n",
	       votequorum_qdevice_poll(handle, "nobody", 1, (votequorum_ring_id_t){ .nodeid = 1, .seq = 1 }));
	printf("device register: %d\n", votequorum_qdevice_register(handle, "nobody"));
	printf("device unregister: %d\n", votequorum_qdevice_unregister(handle, "nobody"));
	printf("device update: %d\n", votequorum_qdevice_update(handle, "nobody", "somebody"));
	printf("device master wins: %d\n", votequorum_qdevice_master_wins(handle, "nobody", 1));
	must("votequorum_finalize", votequorum_finalize(handle));
}

static void changed(cmap_handle_t handle, cmap_track_handle_t track, int32_t event, const char *key,
		    struct cmap_notify_value fresh, struct cmap_notify_value old, void *data)
{
	(void)handle; (void)track; (void)data;
	printf("changed %s event %d from %zu to %zu bytes\n", key, event, old.len, fresh.len);
}

static void api_cmap(void)
{
	cmap_handle_t handle;
	cmap_track_handle_t track;
	cmap_iter_handle_t iterator;
	char key[CMAP_KEYNAME_MAXLEN + 1];
	size_t length;
	cmap_value_types_t type;
	uint32_t word = 0;
	int16_t half = 0;
	char *text;

	must("cmap_initialize", cmap_initialize(&handle));
	must("cmap_track_add", cmap_track_add(handle, "test.", CMAP_TRACK_ADD | CMAP_TRACK_MODIFY |
		CMAP_TRACK_DELETE | CMAP_TRACK_PREFIX, changed, NULL, &track));
	printf("set %d\n", cmap_set_uint32(handle, "test.word", 7));
	printf("set same %d\n", cmap_set_uint32(handle, "test.word", 7));
	printf("inc %d\n", cmap_inc(handle, "test.word"));
	printf("dec %d\n", cmap_dec(handle, "test.word"));
	printf("get %d", cmap_get_uint32(handle, "test.word", &word));
	printf(" %u\n", word);
	printf("get as another type %d %d\n", cmap_get_int16(handle, "test.word", &half), half);
	printf("set text %d\n", cmap_set_string(handle, "test.text", "hello"));
	printf("get text %d", cmap_get_string(handle, "test.text", &text));
	printf(" %s\n", text);
	printf("inc text %d\n", cmap_inc(handle, "test.text"));
	printf("get nothing %d\n", cmap_get_uint32(handle, "test.nothing", &word));
	printf("set read-only %d\n", cmap_set_uint32(handle, "totem.version", 3));
	printf("delete read-only %d\n", cmap_delete(handle, "totem.version"));
	printf("short key %d\n", cmap_set_uint32(handle, "ab", 3));
	printf("bad key %d\n", cmap_set_uint32(handle, "test.b@d", 3));
	memset(key, 'k', sizeof(key));
	key[CMAP_KEYNAME_MAXLEN] = 0;
	printf("long key %d\n", cmap_set_uint32(handle, key, 3));
	must("cmap_iter_init", cmap_iter_init(handle, "test.", &iterator));
	while (cmap_iter_next(handle, iterator, key, &length, &type) == CS_OK) {
		printf("key %s %zu %d\n", key, length, type);
	}
	must("cmap_iter_finalize", cmap_iter_finalize(handle, iterator));
	printf("delete %d\n", cmap_delete(handle, "test.word"));
	printf("delete again %d\n", cmap_delete(handle, "test.word"));
	must("cmap_dispatch", cmap_dispatch(handle, CS_DISPATCH_ALL));
	printf("track delete %d\n", cmap_track_delete(handle, track));
	printf("track delete again %d\n", cmap_track_delete(handle, track));
	printf("delete text %d\n", cmap_delete(handle, "test.text"));
	must("cmap_finalize", cmap_finalize(handle));
}

static void api_cfg(void)
{
	corosync_cfg_callbacks_t callbacks;
	corosync_cfg_handle_t handle;
	corosync_cfg_node_address_t addresses[8];
	unsigned int nodeid = 0;
	int count = 0;

	memset(&callbacks, 0, sizeof(callbacks));
	must("corosync_cfg_initialize", corosync_cfg_initialize(&handle, &callbacks));
	must("corosync_cfg_local_get", corosync_cfg_local_get(handle, &nodeid));
	printf("local %u\n", nodeid);
	printf("addresses %d", corosync_cfg_get_node_addrs(handle, 2, 8, &count, addresses));
	printf(" %d\n", count);
	printf("addresses of nobody %d\n", corosync_cfg_get_node_addrs(handle, 99, 8, &count, addresses));
	printf("track start %d\n", corosync_cfg_trackstart(handle, 0));
	printf("track stop %d\n", corosync_cfg_trackstop(handle));
	printf("reply to nothing %d\n", corosync_cfg_replyto_shutdown(handle, COROSYNC_CFG_SHUTDOWN_FLAG_YES));
	must("corosync_cfg_finalize", corosync_cfg_finalize(handle));
}

static void api_cpg(void)
{
	cpg_handle_t handle = join("api");
	struct cpg_name group = { .length = 3, .value = "api" };
	struct cpg_address list[16];
	cpg_flow_control_state_t flow;
	int count = 0;
	char *bytes = calloc(1, 2000000);
	struct iovec part = { .iov_base = bytes, .iov_len = 10 };

	for (int i = 0; i < 100 && members == 0; i++) {
		serve(handle, 20);
	}
	printf("members %u\n", members);
	printf("join again %d\n", cpg_join(handle, &group));
	printf("membership %d", cpg_membership_get(handle, &group, list, &count));
	printf(" %d node %u reason %u\n", count, list[0].nodeid, list[0].reason);
	printf("flow %d", cpg_flow_control_state_get(handle, &flow));
	printf(" %d\n", flow);
	printf("mcast %d\n", cpg_mcast_joined(handle, CPG_TYPE_AGREED, &part, 1));
	part.iov_len = 1048576;
	printf("mcast of 1 MiB %d\n", cpg_mcast_joined(handle, CPG_TYPE_AGREED, &part, 1));
	printf("mcast of type safe %d\n", cpg_mcast_joined(handle, CPG_TYPE_SAFE, &part, 1));
	printf("leave %d\n", cpg_leave(handle, &group));
	for (int i = 0; i < 20; i++) {
		serve(handle, 20);
	}
	printf("leave again %d\n", cpg_leave(handle, &group));
	printf("mcast outside %d\n", cpg_mcast_joined(handle, CPG_TYPE_AGREED, &part, 1));
	must("cpg_finalize", cpg_finalize(handle));
	free(bytes);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc >= 5 && strcmp(argv[1], "exchange") == 0) {
		return exchange(atoi(argv[2]), atoi(argv[3]), argc - 4, argv + 4);
	}
	if (argc == 2 && strcmp(argv[1], "api") == 0) {
		api_quorum();
		api_votequorum();
		api_cmap();
		api_cfg();
		api_cpg();
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "deaf") == 0) {
		join("exchange");
		printf("deaf\n");
		for (;;) {
			pause();
		}
	}
	if (argc == 2 && strcmp(argv[1], "die") == 0) {
		join("another");
		abort();
	}
	fprintf(stderr, "usage: see the source\n");
	return 64;
}
