package decode

import _ "github.com/elastic/beats/v7/auditbeat/tracing"
