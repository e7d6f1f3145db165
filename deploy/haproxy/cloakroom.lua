-- Asks the gateway whether a request may pass, and who it is that asks.

local ENDPOINT = os.getenv("CLOAKROOM") .. "/.cloakroom/auth/haproxy"
-- Milliseconds.
local PATIENCE = 5000
-- What the gateway says of who asks, for the service; and what of the client's cookies and Authorization
-- is not the gateway's own.
local FOR_SERVICE = {
    "x-user-id", "x-user-roles", "x-session-key", "x-anonymous-id", "x-identity",
    "cookie", "authorization",
}
-- What the gateway does not need to know, or what is of this connection alone.
local NOT_ASKED = {
    "connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "content-type", "x-forwarded-method", "x-forwarded-uri",
}

-- Answers the client in place of the service.
local function refuse(txn, status, headers, body)
    local reply = txn:reply({ status = status })
    for _, name in ipairs({ "content-type", "location", "retry-after", "cache-control", "set-cookie" }) do
        for _, value in pairs(headers[name] or {}) do
            reply:add_header(name, value)
        end
    end
    reply:set_body(body or "")
    txn:done(reply)
end

core.register_action("cloakroom", { "http-req" }, function(txn)
    local headers = txn.http:req_get_headers()
    for _, name in ipairs(NOT_ASKED) do
        headers[name] = nil
    end
    -- As it came, before anything made it otherwise.
    headers["x-forwarded-method"] = { [0] = txn.sf:method() }
    headers["x-forwarded-uri"] = { [0] = txn.sf:pathq() }

    local answer = core.httpclient():get({ url = ENDPOINT, headers = headers, timeout = PATIENCE })
    if answer == nil or answer.status == nil or answer.status == 0 then
        refuse(txn, 503, { ["retry-after"] = { "1" } }, "")
    elseif answer.status == 200 then
        for _, name in ipairs(FOR_SERVICE) do
            txn.http:req_del_header(name)
            local value = answer.headers[name]
            if value and value[0] ~= "" then
                txn.http:req_set_header(name, value[0])
            end
        end
        -- What carries a session's token, whatever the gateway's token_header is called.
        local taken = answer.headers["x-take-away"]
        for name in string.gmatch(taken and taken[0] or "", "[^,]+") do
            txn.http:req_del_header(name)
        end
        txn:set_priv(answer.headers["set-cookie"])
    else
        refuse(txn, answer.status, answer.headers, answer.body)
    end
end)

-- Hands on the cookies that the gateway sets where a request passes.
core.register_action("cloakroom_cookies", { "http-res" }, function(txn)
    for _, cookie in pairs(txn:get_priv() or {}) do
        txn.http:res_add_header("Set-Cookie", cookie)
    end
end)
