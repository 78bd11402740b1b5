struct elsewhere { long first; struct odd *back; };
struct elsewhere elsewhere;
int in_elsewhere(struct elsewhere *where) { return where->first; }
