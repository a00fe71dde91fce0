/* `chimeractl config show`: the options that the running server has. */
#include "chimerad/config-control.h"

static int show(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	config_json(arg, &reply->json, NULL);
	return 0;
}

static const struct control_verb verbs[] = {
	{"config", "show", show},
};

int config_register_control(struct control *ctl, struct config *cfg)
{
	return control_register(ctl, verbs, ARRAY_SIZE(verbs), cfg);
}
