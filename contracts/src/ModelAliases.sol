// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title Names of models, with owners and time-locked changes
/// @notice A modelId is the content of a model and never changes. An alias is a name whose owner may point it to another
/// model, after a delay that everybody sees coming. So a consumer chooses: it *pins* a modelId, or it *follows* an alias and
/// has the delay to leave. Nothing here touches the registry: no alias can change what a modelId means.
/// @dev An ordinary contract without owner, upgrade or ether; several may exist. A change takes effect by time alone: nobody
/// has to send a transaction for it.
contract ModelAliases {
    /// @notice What a name stands for.
    /// @param owner Who may change it; zero: nobody took the name, or the owner gave it up for ever.
    /// @param delay Seconds between the announcement of a change and its effect.
    /// @param effectiveAt When `next` takes effect; zero: no change is announced.
    /// @param model What the name stands for until then.
    /// @param next What it will stand for.
    /// @param pendingOwner Who may accept the name.
    struct Alias {
        address owner;
        uint32 delay;
        uint64 effectiveAt;
        bytes32 model;
        bytes32 next;
        address pendingOwner;
    }

    /// @notice The shortest delay that a name can have.
    uint32 public constant MIN_DELAY = 1 days;
    /// @notice The longest one.
    uint32 public constant MAX_DELAY = 365 days;

    mapping(bytes32 name => Alias) private _aliases;

    /// @notice A name was taken.
    event AliasCreated(bytes32 indexed name, address indexed owner, bytes32 indexed modelId, uint32 delay);
    /// @notice From `effectiveAt` on the name stands for `modelId`, unless the owner takes the change back before.
    event ChangeAnnounced(bytes32 indexed name, bytes32 indexed modelId, uint64 effectiveAt);
    /// @notice The announced change will not come.
    event ChangeCancelled(bytes32 indexed name, bytes32 indexed modelId);
    /// @notice The name is offered to another owner, or, by zero, no longer offered.
    event OwnerOffered(bytes32 indexed name, address indexed pendingOwner);
    /// @notice The name has another owner; zero: it can never change again.
    event OwnerChanged(bytes32 indexed name, address indexed owner);

    /// @notice Nobody took this name.
    error UnknownAlias(bytes32 name);
    /// @notice The name is taken, also where its owner gave it up.
    error AliasTaken(bytes32 name);
    /// @notice Only `owner` may do this.
    error NotOwner(bytes32 name, address owner, address caller);
    /// @notice Only the account that the name was offered to may accept it.
    error NotOffered(bytes32 name, address pendingOwner, address caller);
    /// @notice A delay lies between `minimum` and `maximum` seconds.
    error DelayOutOfRange(uint32 minimum, uint32 maximum, uint32 actual);
    /// @notice A model is named by its id, which is not zero.
    error NoModel();
    /// @notice No change is announced, or it has taken effect.
    error NothingAnnounced(bytes32 name);

    /// @notice Takes a name.
    /// @param name Any 32 bytes; by custom a text, padded with zeros.
    /// @param modelId What it stands for at once. It need not be registered: consumers see by describe what it is.
    /// @param delay Seconds between announcement and effect of every later change; it never changes.
    function create(bytes32 name, bytes32 modelId, uint32 delay) external {
        if (delay < MIN_DELAY || delay > MAX_DELAY) revert DelayOutOfRange(MIN_DELAY, MAX_DELAY, delay);
        if (modelId == 0) revert NoModel();
        Alias storage a = _aliases[name];
        if (a.model != 0) revert AliasTaken(name);
        (a.owner, a.delay, a.model) = (msg.sender, delay, modelId);
        emit AliasCreated(name, msg.sender, modelId, delay);
    }

    /// @notice Announces that the name will stand for another model. A change that was announced before and has not taken
    /// effect is replaced, and the delay begins again.
    function announce(bytes32 name, bytes32 modelId) external {
        Alias storage a = _owned(name);
        if (modelId == 0) revert NoModel();
        _settle(a);
        uint64 effectiveAt = uint64(block.timestamp) + a.delay;
        (a.next, a.effectiveAt) = (modelId, effectiveAt);
        emit ChangeAnnounced(name, modelId, effectiveAt);
    }

    /// @notice Takes back a change that has not taken effect.
    function cancel(bytes32 name) external {
        Alias storage a = _owned(name);
        _settle(a);
        if (a.effectiveAt == 0) revert NothingAnnounced(name);
        emit ChangeCancelled(name, a.next);
        (a.next, a.effectiveAt) = (0, 0);
    }

    /// @notice Offers the name to another account, which must accept it; zero takes the offer back.
    function offer(bytes32 name, address pendingOwner) external {
        _owned(name).pendingOwner = pendingOwner;
        emit OwnerOffered(name, pendingOwner);
    }

    /// @notice Accepts a name that was offered to the caller.
    function accept(bytes32 name) external {
        Alias storage a = _aliases[name];
        if (a.pendingOwner != msg.sender) revert NotOffered(name, a.pendingOwner, msg.sender);
        (a.owner, a.pendingOwner) = (msg.sender, address(0));
        emit OwnerChanged(name, msg.sender);
    }

    /// @notice Gives the name up: after the change that is announced, if one is, it stands for one model for ever.
    function renounce(bytes32 name) external {
        Alias storage a = _owned(name);
        (a.owner, a.pendingOwner) = (address(0), address(0));
        emit OwnerChanged(name, address(0));
    }

    /// @notice The model that the name stands for now: what a consumer that follows the name calls.
    function resolve(bytes32 name) external view returns (bytes32 modelId) {
        Alias storage a = _known(name);
        return _isDue(a) ? a.next : a.model;
    }

    /// @notice The name as it is now, an announced change that has taken effect included.
    function get(bytes32 name) external view returns (Alias memory a) {
        a = _known(name);
        if (_isDue(_aliases[name])) (a.model, a.next, a.effectiveAt) = (a.next, 0, 0);
    }

    /// @notice When at the earliest the name can stand for another model than now: what a consumer that follows has to leave.
    /// @return earliest type(uint64).max: never.
    function stableUntil(bytes32 name) external view returns (uint64 earliest) {
        Alias storage a = _known(name);
        if (a.effectiveAt != 0 && !_isDue(a)) return a.effectiveAt;
        return a.owner == address(0) ? type(uint64).max : uint64(block.timestamp) + a.delay;
    }

    function _known(bytes32 name) private view returns (Alias storage a) {
        a = _aliases[name];
        if (a.model == 0) revert UnknownAlias(name);
    }

    function _owned(bytes32 name) private view returns (Alias storage a) {
        a = _known(name);
        if (a.owner != msg.sender) revert NotOwner(name, a.owner, msg.sender);
    }

    function _isDue(Alias storage a) private view returns (bool) {
        // The delay is days: seconds do not matter.
        // forge-lint: disable-next-line(block-timestamp)
        return a.effectiveAt != 0 && block.timestamp >= a.effectiveAt;
    }

    /// @dev Writes down a change that has taken effect.
    function _settle(Alias storage a) private {
        if (_isDue(a)) (a.model, a.next, a.effectiveAt) = (a.next, 0, 0);
    }
}
