/* The control verb that shows the running configuration. Apart from config.h: only chimerad has a control socket. */
#ifndef CHIMERAD_CONFIG_CONTROL_H
#define CHIMERAD_CONFIG_CONTROL_H

#include "catalogue/control.h"
#include "chimerad/config.h"

/* config_register_control() - cfg must live as long as ctl. ERR_NOSPC as control_register(). */
int config_register_control(struct control *ctl, struct config *cfg);

#endif
