/* Preloaded into keepalived, this makes a kernel without IPVS agree to everything, so that its checkers run.
 *
 * The four libnl functions replaced here are called when a server goes up or down, never during a check. Callback types
 * are those of libnl's enum nl_cb_type: 1 is NL_CB_FINISH, 4 is NL_CB_ACK.
 */
#include <stddef.h>

typedef int (*callback)(void *message, void *argument);

static callback callbacks[16];
static void *arguments[16];

int genl_ctrl_resolve(void *socket, const char *family) { return 30; }

int nl_send_auto(void *socket, void *message) { return 1; }

int nl_socket_modify_cb(void *socket, int type, int kind, callback function, void *argument)
{
    if (type >= 0 && type < 16) {
        callbacks[type] = function;
        arguments[type] = argument;
    }
    return 0;
}

int nl_recvmsgs_default(void *socket)
{
    if (callbacks[1])
        callbacks[1](NULL, arguments[1]);
    if (callbacks[4])
        callbacks[4](NULL, arguments[4]);
    return 0;
}
