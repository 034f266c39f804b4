/* DCMI for ipmi_sim, which has none: Get DCMI Capabilities (1) and Get Power Reading (2) of DCMI 1.5, section 6.
   The module's option is the path of a file with the watts "current minimum maximum average".
   Build: gcc -O1 -fPIC -shared -o dcmi.so ipmiSimDcmi.c */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <OpenIPMI/serv.h>
#include <OpenIPMI/mcserv.h>

#define GROUP_DCMI 0xdc
#define UNKNOWN_COMMAND 0xc1

static char watts_path[512];

static void put(unsigned char *at, int octets, unsigned value)
{
    for (; octets > 0; octets--, value >>= 8)
        *at++ = value;
}

/* Answers lie behind the completion code and the group. */
static unsigned int power_reading(unsigned char *answer)
{
    unsigned watts[4] = {0, 0, 0, 0};
    FILE *file = fopen(watts_path, "r");

    if (file) {
        if (fscanf(file, "%u %u %u %u", &watts[0], &watts[1], &watts[2], &watts[3]) < 4)
            watts[1] = watts[2] = watts[3] = watts[0];
        fclose(file);
    }
    for (int i = 0; i < 4; i++)
        put(answer + 2 + 2 * i, 2, watts[i]);
    put(answer + 10, 4, time(NULL));
    put(answer + 14, 4, 1000);      /* statistics of the last 1000 ms */
    answer[18] = 0x40;              /* the measurement is active */
    return 19;
}

static unsigned int capabilities(unsigned char *answer, unsigned parameter)
{
    static const unsigned char head[] = {1, 5, 2};          /* DCMI 1.5, parameters of revision 2 */
    static const unsigned char supported[] = {0, 1, 7};     /* power management; all ways in */
    static const unsigned char power[] = {1, 0x41};         /* one averaging period: a second */

    memcpy(answer + 2, head, sizeof head);
    if (parameter == 1) {
        memcpy(answer + 5, supported, sizeof supported);
        return 5 + sizeof supported;
    }
    if (parameter == 5) {
        memcpy(answer + 5, power, sizeof power);
        return 5 + sizeof power;
    }
    memset(answer + 5, 0, 8);
    return 13;
}

static void handle(lmc_data_t *mc, msg_t *msg, unsigned char *answer, unsigned int *length, void *data)
{
    answer[0] = 0;
    answer[1] = GROUP_DCMI;
    switch (msg->cmd) {
    case 1:
        *length = capabilities(answer, msg->len > 1 ? msg->data[1] : 1);
        break;
    case 2:
        *length = power_reading(answer);
        break;
    default:
        answer[0] = UNKNOWN_COMMAND;
        *length = 1;
    }
}

int ipmi_sim_module_print_version(sys_data_t *sys, char *options)
{
    return 0;
}

int ipmi_sim_module_init(sys_data_t *sys, const char *options)
{
    snprintf(watts_path, sizeof watts_path, "%s", options ? options : "");
    ipmi_emu_register_group_extension_handler(GROUP_DCMI, handle, NULL);
    return 0;
}
