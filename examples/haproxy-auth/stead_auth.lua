-- Asks the node beside HAProxy who sends a request:
--     http-request lua.stead_auth cookie=sid
-- sets txn.stead_status (200, 401, 403; 503 when the node gives no answer), txn.stead_user and
-- txn.stead_groups. The words behind the name are the question's parameters (docs/session-api.md).
local where = os.getenv("STEAD_SESSIONS") or "unix@/run/stead/sessions.sock"

core.register_action("stead_auth", { "http-req" }, function(txn, question)
    local seen, headers = txn.http:req_get_headers(), {}
    for _, name in ipairs({ "cookie", "authorization" }) do
        if seen[name] then
            headers[name] = {}
            for i = 0, #seen[name] do
                headers[name][i + 1] = seen[name][i]
            end
        end
    end
    local answer = core.httpclient():get{
        url = "http://127.0.0.1/v1/auth?" .. question, dst = where, headers = headers, timeout = 5000 }
    local status = answer and answer.status or 503
    local told = answer and answer.headers or {}
    local function word(name)
        return told[name] and told[name][0] or ""
    end
    txn:set_var("txn.stead_status", status)
    txn:set_var("txn.stead_user", word("remote-user"))
    txn:set_var("txn.stead_groups", word("remote-groups"))
end, 1)
